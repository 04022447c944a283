"""A browser's side of HTTP and WebSocket, byte by byte."""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

from tests.sockets import PATIENCE, ServerProcess
from twotick.wire import Frame, Parser

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455, section 1.3."""

MASK = b"\x9a\x01\xff\x3c"


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A frame as a client writes it."""
    length = len(payload)
    short = length if length < 126 else 126 if length < 1 << 16 else 127
    head = bytes((final << 7 | reserved << 4 | opcode, masked << 7 | short))
    if short >= 126:
        head += length.to_bytes(2 if short == 126 else 8)
    if not masked:
        return head + payload
    mask = (MASK * (length // 4 + 1))[:length]
    return head + MASK + (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(length)


def text(payload: bytes) -> bytes:
    return frame(1, payload)


def binary(payload: bytes) -> bytes:
    return frame(2, payload)


class Browser:
    """A connection to the page."""

    def __init__(self, server: ServerProcess, source: str = "127.0.0.1") -> None:
        assert server.page is not None
        self.socket = socket.create_connection(server.page, PATIENCE, (source, 0))
        self.host = f"127.0.0.1:{server.page[1]}"
        self._read = b""

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, target: str = "/", **headers: str | None) -> None:
        """Send a request; a header None is left out. `method` is not a header."""
        method = headers.pop("method", "GET")
        given: dict[str, str | None] = {"host": self.host, **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value is not None]
        self.write("\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode())

    def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """The status, headers and body of the next answer; status 0 if the server closes instead."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return 0, {}, self._read
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0")) if method != "HEAD" else 0
        return int(first.split()[1]), headers, self.read(length)

    def get(self, target: str = "/", **headers: str | None) -> tuple[int, dict[str, str], bytes]:
        self.request(target, **headers)
        return self.answer()

    def info(self, **headers: str | None) -> Any:
        status, _, body = self.get("/info.json", **headers)
        assert status == 200, body
        return json.loads(body)

    def upgrade(self, **headers: str | None) -> tuple[int, dict[str, str], bytes]:
        """Ask for a WebSocket."""
        asked: dict[str, str | None] = {
            "upgrade": "websocket",
            "connection": "keep-alive, Upgrade",
            "sec_websocket_version": "13",
            "sec_websocket_key": KEY,
            "origin": f"http://{self.host}",
        }
        return self.get("/connect", **asked | headers)

    def open(self, **headers: str | None) -> "Browser":
        """Have a WebSocket."""
        status, answered, body = self.upgrade(**headers)
        assert (status, answered.get("sec-websocket-accept")) == (101, ACCEPT), (status, body)
        return self

    def message(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame; the server never cuts a message. 0 if the server closes."""
        head = self.read(2)
        if len(head) < 2:
            return 0, head
        assert head[0] & 0xF0 == 0x80
        length = head[1]  # not masked
        if length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8))
        return head[0] & 0x0F, self.read(length)

    def stream(self, parser: Parser) -> Iterator[Frame]:
        """The frames of the protocol that come; a message can have several."""
        while (message := self.message())[0] == 2:
            yield from parser.feed(message[1])

    def ask(self, data: bytes, answer: bytes) -> None:
        """Send a message, and get one with this answer."""
        self.write(binary(data))
        assert self.message() == (2, answer)

    def closed(self) -> tuple[int, str]:
        """The code and reason of the close frame that comes next, after which the server closes."""
        opcode, payload = self.message()
        assert opcode == 8, (opcode, payload)
        assert not self._more()
        return int.from_bytes(payload[:2]), payload[2:].decode()

    def read(self, size: int) -> bytes:
        while len(self._read) < size and self._more():
            pass
        data, self._read = self._read[:size], self._read[size:]
        return data

    def _more(self) -> bool:
        data = self.socket.recv(1 << 16)
        self._read += data
        return bool(data)

    def reset(self) -> None:
        """Vanish without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
