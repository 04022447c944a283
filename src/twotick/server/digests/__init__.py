"""E-mail that tells members of messages which wait for them."""
