"""What a user can do on the main screen, grouped by subject."""
