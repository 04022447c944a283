"""Logins with passwords."""

import asyncio
import base64
import socket
from typing import Any

import argon2

from tests.sockets import PATIENCE
from twotick.server import Server, ServerLimits
from twotick.store import AddMember, SqliteStore, StoreLimits
from twotick.wire import Side, error, register


def outcome(address: tuple[str, int], frame: bytes) -> bytes:
    """Write a frame and close this half of the connection; return all that comes."""
    with socket.create_connection(address, PATIENCE) as peer, peer.makefile("rb") as answers:
        peer.sendall(frame)
        peer.shutdown(socket.SHUT_WR)
        return answers.read()


def login(password: bytes) -> bytes:
    return register(Side.SENDING, b"alice", authorization=b"Basic " + base64.b64encode(b"alice:" + password))


async def test_a_damaged_password_leaves_nobody_without_an_answer() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("alice", "$argon2id$damaged", 0.0)])
    server = Server(ServerLimits(), store)
    address = await server.start("127.0.0.1", 0)
    answer = await asyncio.to_thread(outcome, address, login(b"correct horse"))
    await server.stop()
    assert answer == error(107, reason=b"the server made a mistake, which is in its log")
    assert [context["message"] for context in complaints] == ["a login cannot be checked"]


async def test_a_password_that_was_kept_as_it_was_typed_is_known_on_every_keyboard_after_one_login() -> None:
    """Rule 10.3."""
    composed, decomposed = "p\u00e4sswort".encode(), "pa\u0308sswort".encode()
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("alice", argon2.PasswordHasher().hash(decomposed), 0.0)])
    server = Server(ServerLimits(), store)
    address = await server.start("127.0.0.1", 0)
    answers = [await asyncio.to_thread(outcome, address, login(each)) for each in (decomposed, composed, decomposed)]
    await server.stop()
    assert [answer.partition(b"\n")[0] for answer in answers] == [b"REGISTERED TOSEND alice"] * 3
