"""How a rule refuses a request."""


class NotAllowed(Exception):
    """A request is refused, and has changed nothing.

    Args:
        reason: why, for a person to read.
        kind: why, as a word for programs (rule 9.12); empty if there is none.
    """

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind


LIMITS = frozenset(("file_bytes", "files_bytes", "max_reports", "max_rooms", "max_room_members"))
"""The kinds of refusals that name a limit, by the setting that holds it: the operator sees who met one."""

NO_ROOM = "there is no such room"
NO_MEMBER = "there is no such member"
NO_MESSAGE = "there is no such message of yours"
NOT_A_MEMBER = "you are not a member any more"
DISABLED = "this account is disabled: ask the operator of the server"
