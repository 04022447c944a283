"""The member client: a device of a registered member, with an outbox, receipts and a connection that comes back."""
