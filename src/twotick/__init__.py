"""Twotick: chat where "sent" means "received"."""
