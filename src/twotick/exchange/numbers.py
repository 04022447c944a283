"""Why a frame is refused that has a malformed number in a header (docs/protocol.md, rule 2.9)."""

from twotick.wire import MOST_DIGITS


def malformed_number(header: bytes, digits: int = MOST_DIGITS, least: int = 0) -> str:
    """Return why a number is refused, in words for users.

    Args:
        header: the name of its header.
        digits: the most digits that it may have.
        least: the smallest number that is allowed.
    """
    reason = f"{header.decode().capitalize()} is a number of at most {digits} digits"
    return f"{reason}, and at least {least}" if least else reason
