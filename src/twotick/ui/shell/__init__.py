"""Commands of the shell that need no screen: send, listen, a member's commands, and how a command ends."""
