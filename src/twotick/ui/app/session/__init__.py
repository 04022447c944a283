"""The connection of one user to one server, without any knowledge of the screen."""
