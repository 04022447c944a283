"""Web hooks: the server posts what a member gets, and sends what the answer says."""
