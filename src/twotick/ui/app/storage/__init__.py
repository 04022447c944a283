"""The app's database on this machine."""
