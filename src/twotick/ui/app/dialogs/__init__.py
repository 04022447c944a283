"""Dialogs that are shown over the main screen."""
