"""WebSockets for the fuzzer: streams of bytes, like those of asyncio, that go through frames cut in any way."""

import asyncio
import random

from tests.server.web.browser import KEY, frame


class WebReader:
    """Reads what a server writes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self, _size: int) -> bytes:
        """The payload of the next message; nothing at the end."""
        try:
            while True:
                first, length = await self._reader.readexactly(2)
                if length >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8))
                payload = await self._reader.readexactly(length)
                if first & 0x0F == 8:
                    return b""
                if first & 0x0F == 2 and payload:
                    return payload
        except asyncio.IncompleteReadError:
            return b""


class WebWriter:
    """Writes frames as `chance` decides."""

    def __init__(self, writer: asyncio.StreamWriter, chance: random.Random) -> None:
        self._writer = writer
        self._chance = chance
        self.transport = writer.transport
        self.is_closing = writer.is_closing
        self.drain = writer.drain
        self.close = writer.close

    def write(self, data: bytes) -> None:
        """Write bytes as a message, or as several, of one frame or more, with pings among them."""
        chance = self._chance
        position, opcode = 0, 2
        while position < len(data):
            size = chance.choice((1, chance.randrange(1, 200), len(data)))
            part = data[position : position + size]
            position += size
            final = position >= len(data) or chance.random() < 0.5
            self._writer.write(frame(opcode, part, final=final))
            opcode = 2 if final else 0
            if chance.random() < 0.1:
                self._writer.write(frame(chance.choice((9, 10)), b"?" * chance.randrange(126)))

    def can_write_eof(self) -> bool:
        """A close frame says that nothing will follow, with TLS too."""
        return True

    def write_eof(self) -> None:
        """Write the close frame."""
        self._writer.write(frame(8, b"\x03\xe8"))


async def opened(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> tuple[WebReader, WebWriter]:
    """Make a connection to the page a WebSocket."""
    writer.write(
        b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY.encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return WebReader(reader), WebWriter(writer, chance)
