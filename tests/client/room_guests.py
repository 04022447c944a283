"""Guests in rooms, who speak the protocol of docs/protocol.md, rules 12.12 to 12.15."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from tests.client.members import Spoken
from twotick.wire import Frame, Side, Verb, frame, register


class RoomGuest:
    """A guest who is in a room."""

    def __init__(self, connection: Spoken, room: str) -> None:
        self._connection = connection
        self._room = room.encode()

    async def say(self, text: str, ident: str = "m1", headers: dict[str, bytes] | None = None) -> None:
        """Send a message to the room, and wait until the server has it."""
        self._connection.write(frame(Verb.SEND, self._room, text.encode(), id=ident.encode(), **(headers or {})))
        await self.until(Verb.ACCEPTED)

    async def until(self, verb: Verb) -> Frame:
        """Return the next frame with a verb."""
        while (found := await self._connection.frame())[0].verb is not verb:
            pass
        return found


@contextlib.asynccontextmanager
async def guest_in(room: str, address: str, name: str = "ann") -> AsyncGenerator[RoomGuest]:
    """Let a guest join a room of a server, which lets guests in."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        connection = Spoken(reader, writer)
        connection.write(register(Side.DUPLEX, name.encode()))
        await connection.expect(Verb.REGISTERED)
        connection.write(frame(Verb.ROOM, room.encode(), do=b"join"))
        await connection.expect(Verb.ROOM)
        yield RoomGuest(connection, room)
    finally:
        writer.close()
        await writer.wait_closed()
