"""Windows that are shown over the main screen."""
