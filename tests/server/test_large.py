"""Large rooms and large files, with a real server and a real store (docs/protocol.md, sections 12 and 16)."""

import hashlib
import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.simulation.serving import make_members, serving
from tests.sockets import PATIENCE, Peer
from twotick.server.secrets import new_token, token_digest
from twotick.store import AddMember, AddToken, CreateRoom, JoinRoom, Member, OpenDevice, SqliteStore, StoreLimits
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, register

MEMBERS = 1000
AWAY = 400
"""Of them, those who come later."""


class Device:
    """A connection of a member."""

    def __init__(self, port: int, name: bytes, token: str, side: Side = Side.DUPLEX) -> None:
        self.peer = Peer(("127.0.0.1", port), "127.0.0.1")
        self._frames = self._read()
        self.ask(register(side, name, 64, authorization=b"Bearer " + token.encode()), Verb.REGISTERED)

    def _read(self) -> Iterator[Frame]:
        parser = Parser(HeadCache(1 << 20))
        while data := self.peer.socket.recv(1 << 18):
            yield from parser.feed(data)

    def next(self) -> Frame:
        return next(self._frames)

    def ask(self, question: bytes, verb: Verb) -> Frame:
        self.peer.write(question)
        answer = self.next()
        assert answer[0].verb is verb, (answer[0].code, answer[0].headers)
        return answer


@pytest.fixture
def many_files() -> None:
    """Let this process open as many files as a crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * MEMBERS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * MEMBERS, hard), hard))


def make_room(data: Path) -> dict[bytes, str]:
    """Make a room of many members; returns a token for the device of each."""
    names = [f"u{number}" for number in range(MEMBERS)]
    tokens = [new_token() for _ in names]
    store = SqliteStore(data, StoreLimits())
    added = store.apply([AddMember(name, "", 0.0) for name in names])
    members = [member.number for member in added if isinstance(member, Member)]
    store.apply(
        [
            *(
                AddToken(member, "main", token_digest(token), 0.0)
                for member, token in zip(members, tokens, strict=True)
            ),
            CreateRoom(members[0], "#team", True, "", 0.0),
            JoinRoom(members[1], "#team", 0.0),
            *(OpenDevice(member, "main", 9, 0.0) for member in members),
        ]
    )
    store.close()
    # If they joined one by one, each would be told of all who come later: half a million entries of logs.
    with closing(sqlite3.connect(data / "twotick.db")) as connection, connection:
        connection.execute(
            "INSERT INTO room_member (room, member, role, since, seen_from)"
            " SELECT o.room, m.number, o.role, o.since, o.seen_from FROM room_member o JOIN member m ON m.number > ?1"
            " WHERE o.member = ?1",
            (members[1],),
        )
    return dict(zip((name.encode() for name in names), tokens, strict=True))


@pytest.mark.usefixtures("many_files")
def test_a_message_to_a_room_of_a_thousand(tmp_path: Path) -> None:
    """Rules 12.5 and 12.6: all who are connected have it, the others later, and the sender is told of both."""
    tokens = make_room(tmp_path)
    sender, *others = tokens
    with serving(tmp_path) as server:
        alice = Device(server.port, sender, tokens[sender])
        here = [Device(server.port, name, tokens[name]) for name in others[AWAY:]]
        accepted, _ = alice.ask(frame(Verb.SEND, b"#team", b"hello", id=b"m1"), Verb.ACCEPTED)
        assert accepted.headers[b"members"] == b"%d" % len(others)

        def take(device: Device) -> None:
            head, body = device.next()
            assert (head.name, head.headers[b"to"], head.headers[b"id"], body) == (sender, b"#team", b"m1", b"hello")
            assert head.headers[b"place"] == accepted.headers[b"place"]
            device.peer.write(frame(Verb.RECEIVED, head.name, seq=int(head.headers[b"seq"])))

        for device in here:
            take(device)
        have = 0
        while have < len(here):
            head, _ = alice.next()
            assert (head.verb, head.name, head.headers[b"of"]) == (Verb.SENT, b"#team", b"%d" % len(others))
            assert have < int(head.headers[b"have"]) <= len(here)
            have = int(head.headers[b"have"])
        later = [Device(server.port, name, tokens[name]) for name in others[:AWAY]]
        for device in later:
            take(device)
        head, _ = alice.next()
        while b"have" in head.headers:
            assert have < int(head.headers[b"have"]) < len(others)
            have = int(head.headers[b"have"])
            head, _ = alice.next()
        assert (head.verb, head.headers.keys()) == (Verb.SENT, {b"id", b"seq"})
        for device in (alice, *here, *later):
            device.peer.close()


def test_a_file_of_some_mebibytes_arrives_as_it_is(tmp_path: Path) -> None:
    """Rules 16.1 to 16.4: sent on a connection that only sends, and read by whom it was sent to alone."""
    alice, bob, carol = make_members(tmp_path, ("alice", "main"), ("bob", "main"), ("carol", "main"))
    content = random.Random(5).randbytes((3 << 20) + 12345)
    digest = hashlib.sha256(content).hexdigest().encode()
    with serving(tmp_path) as server:
        sender = Device(server.port, b"alice", alice, Side.SENDING)
        offer = frame(Verb.FILE, b"", None, b"Name: p.png\n", id=b"f1", size=len(content), hash=digest)
        (offered, _) = sender.ask(offer, Verb.FILE)
        key, size = offered.name, int(offered.headers[b"piece"])
        starts = range(0, len(content), size)
        pieces = [frame(Verb.PIECE, key, content[start : start + size], offset=start) for start in starts]
        for piece in pieces[:20]:
            sender.ask(piece, Verb.PIECE)
        sender.peer.reset()
        sender = Device(server.port, b"alice", alice, Side.SENDING)
        (offered, _) = sender.ask(offer, Verb.FILE)
        assert (offered.name, offered.headers[b"have"]) == (key, b"%d" % (20 * size))
        sender.peer.write(b"".join(pieces[20:]))  # nobody has to wait for the answers
        *_, (written, _) = [sender.next() for _ in pieces[20:]]
        assert written.headers[b"have"] == b"%d" % len(content)
        sender.ask(frame(Verb.SEND, b"bob", b"a photo", id=b"m1", file=key), Verb.ACCEPTED)
        reader = Device(server.port, b"bob", bob)
        head, _ = reader.next()
        assert (head.headers[b"file"], head.headers[b"file-size"]) == (key, b"%d" % len(content))
        reader.peer.write(b"".join(frame(Verb.PIECE, key, offset=start, length=size) for start in starts))
        assert b"".join(reader.next()[1] for _ in starts) == content
        assert head.headers[b"file-hash"] == digest
        _, body = reader.ask(frame(Verb.PIECE, key, offset=len(content), length=size), Verb.PIECE)
        assert body == b""
        stranger = Device(server.port, b"carol", carol)
        head, _ = stranger.ask(frame(Verb.PIECE, key, offset=0), Verb.ERROR)
        assert head.code == 102
        for device in (sender, reader, stranger):
            device.peer.close()


def test_a_reader_that_stops_reading_holds_up_nobody(tmp_path: Path) -> None:
    """Rules 5.8 and 16.4: what is read for it is bounded, however many pieces it asks for."""
    tokens = make_members(tmp_path, ("alice", "main"), ("bob", "main"))
    content = bytes(1 << 20)
    with serving(tmp_path) as server:
        alice = Device(server.port, b"alice", tokens[0])
        digest = hashlib.sha256(content).hexdigest().encode()
        offer = frame(Verb.FILE, b"", None, b"Name: p.png\n", id=b"f1", size=len(content), hash=digest)
        key = alice.ask(offer, Verb.FILE)[0].name
        for start in range(0, len(content), 1 << 16):
            alice.ask(frame(Verb.PIECE, key, content[start : start + (1 << 16)], offset=start), Verb.PIECE)
        alice.ask(frame(Verb.SEND, b"bob", b"", id=b"m1", file=key), Verb.ACCEPTED)
        greedy = Device(server.port, b"bob", tokens[1])
        before = server.memory
        greedy.peer.socket.settimeout(1.0)
        question = frame(Verb.PIECE, key, offset=0) * 1000
        try:
            for _ in range(100):
                greedy.peer.write(question)
        except TimeoutError:
            pass
        alice.peer.socket.settimeout(PATIENCE)
        alice.ask(frame(Verb.DEVICES), Verb.DEVICES)
        assert server.memory - before < 32 << 20
        greedy.peer.reset()
        alice.peer.close()
