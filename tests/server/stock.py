"""Clients as students write them: two blocking sockets, two threads, and habits of their own."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Queue
from threading import Barrier, Thread

from tests.sockets import PATIENCE


@dataclass(frozen=True)
class Habits:
    """What sets one client apart from the next; the defaults are those of the textbook.

    Attributes:
        line_end: how its lines end.
        blank: its blank line.
        after_name: what it leaves at the end of a start line.
        header: the length header, up to the number.
        more_headers: header lines that nobody asked for.
        after_body: what it writes after a body without counting it.
        order: in which it registers its sides; both at once if it is empty.
        piece: how many bytes it writes at a time; everything at once if it is 0.
        in_characters: whether it counts characters in place of bytes, as most of them do.
        refusal: what it answers to a message that it does not take.
    """

    line_end: str = "\n"
    blank: str = "\n"
    after_name: str = ""
    header: str = "Content-length: "
    more_headers: str = ""
    after_body: str = ""
    order: tuple[str, ...] = ("TOSEND", "TORECV")
    piece: int = 0
    in_characters: bool = False
    refusal: str = "ERROR 103 Header incomplete"


@dataclass
class StockClient:
    """A client with habits. Like most of them, it takes whatever one `recv` returns for one message.

    Attributes:
        inbox: who wrote what, in the order of arrival.
        unwanted: a message that it does not take.
    """

    address: tuple[str, int]
    name: str
    habits: Habits
    unwanted: str = "spam"
    inbox: "Queue[tuple[str, str]]" = field(default_factory=lambda: Queue())
    sockets: dict[str, socket.socket] = field(default_factory=dict[str, socket.socket])

    def __enter__(self) -> "StockClient":
        if self.habits.order:
            for side in self.habits.order:
                self.register(side)
        else:
            moment = Barrier(2)
            threads = [Thread(target=self.register, args=[side, moment.wait]) for side in ("TOSEND", "TORECV")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        self.receiver = Thread(target=self.receive)
        self.receiver.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for connection in self.sockets.values():
            connection.shutdown(socket.SHUT_WR)
        self.receiver.join(PATIENCE)
        self.sockets["TOSEND"].recv(4096)  # the end of it: the server has freed the name
        for connection in self.sockets.values():
            connection.close()

    def count(self, body: str) -> int:
        return len(body) if self.habits.in_characters else len(body.encode())

    def write(self, connection: socket.socket, start: str, body: str | None = None) -> None:
        habits = self.habits
        text = start + habits.after_name + habits.line_end
        if body is not None:
            text += habits.more_headers + habits.header + str(self.count(body)) + habits.line_end
        text += habits.blank + (body or "") + (habits.after_body if body is not None else "")
        data = text.encode()
        for place in range(0, len(data), habits.piece or len(data)):
            connection.sendall(data[place : place + (habits.piece or len(data))])

    def register(self, side: str, ready: Callable[[], object] = lambda: None) -> None:
        connection = socket.create_connection(self.address, PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets[side] = connection
        ready()
        self.write(connection, f"REGISTER {side} {self.name}")
        assert connection.recv(4096).decode() == f"REGISTERED {side} {self.name}\n\n"

    def receive(self) -> None:
        connection = self.sockets["TORECV"]
        while message := connection.recv(65536).decode():
            head, body = message.split("\n\n", 1)
            start, length = head.split("\n")
            verb, sender = start.split(" ")
            assert verb == "FORWARD"
            if self.habits.in_characters and length != f"Content-length: {len(body)}":
                self.write(connection, self.habits.refusal)
                continue
            assert length == f"Content-length: {self.count(body)}"
            if body == self.unwanted:
                self.write(connection, self.habits.refusal)
            else:
                self.inbox.put((sender, body))
                self.write(connection, f"RECEIVED {sender}")

    def send(self, recipient: str, body: str) -> str:
        connection = self.sockets["TOSEND"]
        self.write(connection, f"SEND {recipient}", body)
        return connection.recv(4096).decode()
