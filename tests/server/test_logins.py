"""Logins with passwords."""

import asyncio
import base64
import socket
import threading
from collections.abc import Sequence
from typing import Any

import argon2
import pytest

from tests.sockets import PATIENCE
from twotick.server import Server, ServerLimits, SignUp
from twotick.store import AddMember, Request, SqliteStore, StoreLimits, Work
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


@pytest.mark.parametrize(
    ("sign_up", "name", "password", "kind"),
    [
        (None, b"alice", b"correct horse", b"login"),
        (SignUp.CLOSED, b"bob", b"correct horse", b"sign-up"),
        (SignUp.OPEN, b"bob", b"short", b"password"),
        (SignUp.OPEN, b"Alice", b"correct horse", b"taken"),
        (SignUp.INVITE, b"bob", b"correct horse", b"invitation"),
    ],
)
async def test_a_client_that_asks_is_told_in_a_word_why_it_is_refused(
    sign_up: SignUp | None, name: bytes, password: bytes, kind: bytes
) -> None:
    """Rule 9.12; without the header, nothing changes."""
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("alice", "", 0.0)])
    server = Server(ServerLimits(), store, sign_up or SignUp.CLOSED)
    address = await server.start("127.0.0.1", 0)
    credential = b"Basic " + base64.b64encode(name + b":" + password)
    new = None if sign_up is None else b"yes"
    asked, plain = (
        register(Side.DUPLEX, name, authorization=credential, sign_up=new, reasons=reasons)
        for reasons in (b"yes", None)
    )
    answers = [await asyncio.to_thread(outcome, address, each) for each in (asked, plain)]
    await server.stop()
    assert b"\nKind: %b\n" % kind in answers[0]
    assert answers[1] == answers[0].replace(b"Kind: %b\n" % kind, b"")


class Slow(SqliteStore):
    """A store that carries out nothing while it must not."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        super().__init__(None, StoreLimits())

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        self.may_go_on.wait(PATIENCE)
        return super().work_on(requests)


@pytest.mark.parametrize(
    ("hello", "answer"),
    [
        (register(Side.SENDING, b"guest"), b"REGISTERED TOSEND guest\n"),
        (register(Side.DUPLEX, b"alice", authorization=b"Bearer wrong"), b"ERROR 104 Not authenticated\n"),
    ],
    ids=["guest", "member"],
)
async def test_the_time_in_which_the_server_looks_a_user_up_is_not_the_client_s(hello: bytes, answer: bytes) -> None:
    """`register_timeout` (section 8): a slow disk, or many passwords, leave no login without an answer."""
    store = Slow()
    store.apply([AddMember("alice", "", 0.0)])
    server = Server(ServerLimits(register_timeout=0.25), store)
    address = await server.start("127.0.0.1", 0)
    store.may_go_on.clear()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(hello)
    silent, closing = await asyncio.open_connection(*address)
    assert await silent.read() == b"", "the time of the connection before it is over, too"
    store.may_go_on.set()
    assert await reader.readline() == answer
    writer.close()
    closing.close()
    await server.stop()
