"""Members, their logs, their devices and cursors."""
