"""What can go wrong with a store."""


class StoreError(Exception):
    """The store could not do it; nothing of it was done. The message is for people."""
