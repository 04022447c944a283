"""Connections that the server closes, in an event loop of the standard library's as programs have that embed it."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from twotick.server import Server, ServerLimits
from twotick.wire import Side, register, registered


def visit(address: tuple[str, int], name: bytes) -> socket.socket:
    """Register."""
    peer = socket.create_connection(address)
    peer.sendall(register(Side.SENDING, name))
    answer = registered(Side.SENDING, name)
    assert peer.recv(len(answer), socket.MSG_WAITALL) == answer
    return peer


async def test_a_peer_that_is_gone_when_it_is_answered() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    server = Server(ServerLimits())
    address = await server.start("127.0.0.1", 0)
    peer = await asyncio.to_thread(visit, address, b"alice")
    peer.sendall(b"a header without a colon\nlike this\n\n")
    peer.close()  # the server reads what was sent, and its answer is answered with a reset
    (await asyncio.to_thread(visit, address, b"bob")).close()
    await server.stop()
    assert complaints == []


def vanish(address: tuple[str, int]) -> None:
    """Send a message to oneself, and vanish when it has come."""
    peer = socket.create_connection(address)
    peer.sendall(register(Side.DUPLEX, b"alice") + b"SEND alice\nContent-length: 2\nId: m1\n\nhi")
    with peer.makefile("rb") as answers:
        while b"FORWARD" not in answers.readline():
            pass
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_user_who_vanishes_with_a_message_to_itself(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The answer to the message would go to the connection that is gone."""
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        server = Server(ServerLimits())
        address = await server.start("127.0.0.1", 0)
        await asyncio.to_thread(vanish, address)
        while vars(server)["_connections"]:
            await asyncio.sleep(0)
        await server.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert complaints == []
