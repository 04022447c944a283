"""Logins that cannot be checked."""

import asyncio
import base64
import socket
from typing import Any

from tests.sockets import PATIENCE
from twotick.server import Server, ServerLimits
from twotick.store import AddMember, SqliteStore, StoreLimits
from twotick.wire import Side, error, register


def outcome(address: tuple[str, int], frame: bytes) -> bytes:
    """Write a frame, and return all that comes until the server closes the connection."""
    with socket.create_connection(address, PATIENCE) as peer, peer.makefile("rb") as answers:
        peer.sendall(frame)
        return answers.read()


async def test_a_damaged_password_leaves_nobody_without_an_answer() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("alice", "$argon2id$damaged", 0.0)])
    server = Server(ServerLimits(), store)
    address = await server.start("127.0.0.1", 0)
    credential = b"Basic " + base64.b64encode(b"alice:correct horse")
    answer = await asyncio.to_thread(outcome, address, register(Side.DUPLEX, b"alice", authorization=credential))
    await server.stop()
    assert answer == error(107, reason=b"the server made a mistake, which is in its log")
    assert [context["message"] for context in complaints] == ["a login cannot be checked"]
