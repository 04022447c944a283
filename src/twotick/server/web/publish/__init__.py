"""Publishing by HTTP: programs that talk to ntfy, Slack, Gotify or Alertmanager send messages as bots."""
