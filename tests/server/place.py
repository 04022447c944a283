"""A server with members, and connections of theirs that read and write bytes."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.simulation.serving import serving
from tests.sockets import Peer
from twotick.server.secrets import hash_password
from twotick.store import AddMember, FindMember, SetEmail, SqliteStore, StoreLimits
from twotick.wire import Side, register

LOG_IN = (
    b"REGISTER DUPLEX alice\nAuthorization: Basic YWxpY2U6c2VjcmV0\nDevice: laptop\nWindow: 64\n\n",
    b"REGISTERED DUPLEX alice\nDevice: laptop\nWindow: 64\nSeq: 0\nMax-body: 1048576\n\n",
)
_CREDENTIALS = {b"bob": b"Basic Ym9iOnNlY3JldA==", b"carol": b"Basic Y2Fyb2w6c2VjcmV0"}


class Place:
    """A server with the members alice, whose e-mail address it has, bob and carol. Their password is `secret`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.peers: list[Peer] = []

    def connect(self) -> Peer:
        self.peers.append(Peer(("127.0.0.1", self._port), "127.0.0.1"))
        return self.peers[-1]

    def guest(self, name: bytes) -> Peer:
        peer = self.connect()
        peer.ask(
            register(Side.DUPLEX, name),
            b"REGISTERED DUPLEX %b\nWindow: 1\nMax-body: 1048576\n\n" % name,
        )
        return peer

    def alice(self) -> Peer:
        peer = self.connect()
        peer.ask(*LOG_IN)
        return peer

    def device(self, name: bytes) -> Peer:
        """The only device of bob or carol."""
        peer = self.connect()
        peer.ask(
            register(Side.DUPLEX, name, 9, authorization=_CREDENTIALS[name]),
            b"REGISTERED DUPLEX %b\nDevice: main\nWindow: 9\nSeq: 0\nMax-body: 1048576\n\n" % name,
        )
        return peer


@contextmanager
def placed(data: Path) -> Generator[Place]:
    """A server on an empty data folder."""
    store = SqliteStore(data, StoreLimits())
    store.apply([AddMember(name, hash_password(b"secret"), 0.0) for name in ("alice", "bob", "carol")])
    alice = store.ask(FindMember("alice"))
    assert alice is not None
    store.ask(SetEmail(alice.number, "alice@example.org"))
    store.close()
    with serving(data) as server:
        place = Place(server.port)
        yield place
        for peer in place.peers:
            peer.close()
