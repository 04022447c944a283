"""How many files, and so connections, the system lets the server open."""

import resource
from typing import Final

from twotick.server.logs import log
from twotick.server.options import OptionsError

_SPARE: Final = 64
"""Open files that are kept for everything but connections, if there are enough."""

_NEEDED: Final = 32
"""Open files without which the server does not work: those of the database, and those of the event loop."""

_FEW: Final = 1000
"""Connections below which the operator is told that the system allows no more."""


def raise_file_limit() -> int:
    """Let this process open as many files as the system allows, and return that number.

    Raises:
        OptionsError: they are too few for a server.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard <= _NEEDED:
        raise OptionsError(
            [
                f"the system lets the server open only {hard} files, and it needs more than {_NEEDED}: allow more, with"
                " 'ulimit -n' or LimitNOFILE"
            ]
        )
    return hard


def most_connections(wanted: int, files: int) -> int:
    """Return how many connections there may be; warn if the system allows only a few.

    Args:
        wanted: the limit in the settings.
        files: how many files this process may open.
    """
    if files == resource.RLIM_INFINITY:
        return wanted
    allowed = files - max(_NEEDED, min(_SPARE, files // 2))
    if allowed < min(wanted, _FEW):
        log.warning(
            "the system allows few connections",
            most=allowed,
            files=files,
            remedy="allow the server more open files, with 'ulimit -n' or LimitNOFILE",
        )
    return min(wanted, allowed)
