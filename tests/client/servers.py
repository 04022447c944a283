"""Simple classic servers: a thread for each connection, blocking sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

Talk: TypeAlias = Callable[[socket.socket], None]
"""Serves one connection. A connection that it leaves open is closed at the end of the test."""

Answer: TypeAlias = Callable[[bytes], bytes | None]
"""Returns the answer to a frame; None to close the connection."""


@contextlib.contextmanager
def serving(talk: Talk) -> Generator[str]:
    """Run a server in which `talk` serves each connection, and give its HOST:PORT."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        # The peer broke off, which is not an error of the server.
        with contextlib.suppress(ConnectionError):
            talk(connection)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connections.append(connection)
            if stopping.is_set():
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    host, port = listener.getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        stopping.set()
        socket.create_connection((host, port)).close()  # wakes `accept`
        accepting.join()
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):  # the connection is closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()


# Scripted servers


def read_frame(connection: socket.socket) -> bytes:
    """Return the next frame, head and body; empty at the end of the connection."""
    data = b""
    while not data.endswith(b"\n\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        data += byte
    _, _, length = data.partition(b"Content-length: ")
    size = int(length or 0)
    while size:
        chunk = connection.recv(size)
        if not chunk:
            return b""
        data += chunk
        size -= len(chunk)
    return data


def answering(answer: Answer) -> Talk:
    """Return a server that answers each frame with what `answer` returns."""

    def talk(connection: socket.socket) -> None:
        while frame := read_frame(connection):
            reply = answer(frame)
            if reply is None:
                connection.close()
                return
            connection.sendall(reply)

    return talk


def registered(frame: bytes) -> bytes:
    """Return the answer that accepts a REGISTER, without a window."""
    return b"REGISTERED " + frame.removeprefix(b"REGISTER ").partition(b"\n")[0] + b"\n\n"


def registering(answer: Answer) -> Talk:
    """Return a server that accepts every registration, and answers other frames with what `answer` returns."""
    return answering(lambda frame: registered(frame) if frame.startswith(b"REGISTER ") else answer(frame))


# A correct classic server


@dataclass
class ClassicServer:
    """A server of the classic profile. It takes the result of each `recv` as one complete message.

    Attributes:
        to_window: its answer to a registration that asks for a window: an error number, or None to close.
        newline: how its lines end.
        texts: its texts for error numbers, if they differ from the usual ones.
        glued: what arrived in one piece and was not exactly one message.
    """

    to_window: int | None = 101
    newline: str = "\n"
    texts: dict[int, str] = field(default_factory=dict[int, str])
    glued: list[str] = field(default_factory=list[str])
    _receivers: dict[str, tuple[socket.socket, threading.Lock]] = field(
        default_factory=dict[str, tuple[socket.socket, threading.Lock]]
    )

    def talk(self, connection: socket.socket) -> None:
        while message := connection.recv(1 << 20).decode():
            words = message.removesuffix("\n\n").split(" ")
            if words[0] != "REGISTER":
                self._error(connection, 101)
            elif "\n" in words[2]:
                if self.to_window is None:
                    connection.close()
                    return
                self._error(connection, self.to_window)
            elif words[1] == "TORECV":
                lock = threading.Lock()
                with lock:
                    self._receivers[words[2]] = connection, lock
                    self._write(connection, f"REGISTERED TORECV {words[2]}")
                return
            else:
                self._write(connection, f"REGISTERED TOSEND {words[2]}")
                self._take_sends(connection, words[2])
                return

    def _take_sends(self, connection: socket.socket, sender: str) -> None:
        while message := connection.recv(1 << 20).decode():
            head, _, body = message.partition("\n\n")
            start, _, length = head.partition("\nContent-length: ")
            if len(body.encode()) != int(length):
                self.glued.append(message)
                self._error(connection, 103)
                connection.close()
                return
            recipient = start.removeprefix("SEND ")
            whom = [name for name in self._receivers if name != sender] if recipient == "ALL" else [recipient]
            delivered = [self._deliver(sender, name, body) for name in whom]
            if all(delivered):
                self._write(connection, f"SEND {recipient}")
            else:
                self._error(connection, 102)

    def _deliver(self, sender: str, recipient: str, body: str) -> bool:
        if recipient not in self._receivers:
            return False
        receiver, lock = self._receivers[recipient]
        with lock, contextlib.suppress(ConnectionError):
            self._write(receiver, f"FORWARD {sender}", f"Content-length: {len(body.encode())}", body=body)
            answer = receiver.recv(1 << 20).decode()
            if answer:
                return answer == f"RECEIVED {sender}\n\n"
        del self._receivers[recipient]
        return False

    def _write(self, connection: socket.socket, *lines: str, body: str = "") -> None:
        connection.sendall((self.newline.join(lines) + 2 * self.newline + body).encode())

    def _error(self, connection: socket.socket, number: int) -> None:
        texts = {100: "Malformed username", 101: "No user registered", 102: "Unable to send", 103: "Header incomplete"}
        self._write(connection, f"ERROR {number} {self.texts.get(number, texts[number])}")
