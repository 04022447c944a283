"""Subscribing by HTTP: programs that talk to ntfy get what a bot may read."""
