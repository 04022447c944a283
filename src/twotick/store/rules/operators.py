"""The rules of what operators do over the network (docs/protocol.md, rule 10.11)."""

from typing import Final

from twotick.store.requests.members import Member
from twotick.store.rules.errors import NotAllowed

NOT_AN_OPERATOR: Final = "not_an_operator"
OWN_ACCOUNT: Final = "own_account"
"""The kinds of refusals: the rights of who acts have changed, or it would lock itself out."""


def check_act(operator: Member | None, password: str, locks_out: int | None) -> None:
    """Check that a member may act as an operator.

    Each act leaves the one who acts as it was, so no acts over the network can leave a server without an operator.

    Args:
        operator: the member who acts; None if there is no such member any more.
        password: the hash of the password with which it has logged in.
        locks_out: the store's number of the member who cannot act as before afterwards; None if there is none.

    Raises:
        NotAllowed: the member may not.
    """
    if operator is None or operator.disabled or not operator.operator or operator.password != password:
        raise NotAllowed("your rights have changed: log in again", NOT_AN_OPERATOR)
    if operator.number == locks_out:
        raise NotAllowed(
            "you cannot do this to your own account: let another operator do it, or use a command", OWN_ACCOUNT
        )
