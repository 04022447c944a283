"""How a rule refuses a request."""


class NotAllowed(Exception):
    """A request is refused, and has changed nothing. The text is a reason for a person to read."""


NO_ROOM = "there is no such room"
NO_MEMBER = "there is no such member"
NO_MESSAGE = "there is no such message of yours"
NOT_A_MEMBER = "you are not a member any more"
