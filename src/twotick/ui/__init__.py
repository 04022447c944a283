"""What people and scripts see in a terminal: the shell commands, the line client, the app, the demo and the load."""
