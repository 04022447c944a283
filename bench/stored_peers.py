"""The servers that keep messages on the disk, each with what it needs to keep them."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from peers import TWOTICK
from servers import Program

from twotick.server.secrets import token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits

SENDERS = 50
"""Each sends to a recipient of its own, who is away: s0 to r0, s1 to r1 and so on."""


@dataclass(frozen=True)
class StoredPeer:
    """A server that stores messages.

    Attributes:
        program: how it is started.
        protocol: how the load sends to it, as it is given to the load's --protocol.
        waiting: how the load takes what is stored; None if that is not compared.
        on_disk: whether it answers a sender only when the disk has the message.
    """

    program: Program
    protocol: str
    waiting: str | None
    on_disk: Callable[[], bool]


def _twotick_command(port: int, folder: Path) -> list[str]:
    data = folder / "data"
    with closing(SqliteStore(data, StoreLimits())) as store:
        for name in (f"{side}{number}" for side in "sr" for number in range(SENDERS)):
            (member,) = store.apply([AddMember(name, "", time.time())])
            assert isinstance(member, Member)
            # A token that the load knows, because a password takes both of them long.
            store.apply([AddToken(member.number, "bench", token_digest(f"tt_{name}"), time.time())])
    return [sys.executable, "-m", "twotick", "serve", "--port", str(port), "--data", str(data)]


_TWOTICK = Program("Twotick", _twotick_command, TWOTICK.version)

PEERS = {
    "twotick": StoredPeer(_TWOTICK, "stored", "waiting", lambda: True),
}
"""By the names under which they are asked for. The first is the measure."""
