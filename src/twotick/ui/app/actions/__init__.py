"""The actions behind the commands, grouped by subject. Each group has the main screen that it works on."""
