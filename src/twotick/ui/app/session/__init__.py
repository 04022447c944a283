"""The session of one user at one server. Nothing here knows the screen."""
