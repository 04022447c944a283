"""The client for members: an outbox, receipts that follow their messages, and a connection that reconnects."""
