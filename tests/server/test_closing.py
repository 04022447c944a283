"""Connections that the server closes, in an event loop of the standard library's as programs have that embed it."""

import asyncio
import socket
from typing import Any

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
