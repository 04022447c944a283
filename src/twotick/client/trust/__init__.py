"""Trust in servers, and the storage of tokens."""
