"""What goes wrong when the operator acts."""


class AdminError(Exception):
    """Something was not done; the message says why, and what to do."""


class Malformed(AdminError):
    """A name, a device or a password is not a valid one."""


class Unreachable(AdminError):
    """The command cannot reach the data of the server that runs."""
