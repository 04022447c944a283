"""Conversations, messages and rooms in memory. Nothing here knows the screen, the disk or the network."""
