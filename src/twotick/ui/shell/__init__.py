"""Shell commands: send, listen and a member's commands; their standard streams and exit statuses."""
