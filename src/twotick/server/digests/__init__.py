"""E-mail that tells members of messages which wait for them. Imported only by servers that send it."""
