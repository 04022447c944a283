"""The database on this machine."""
