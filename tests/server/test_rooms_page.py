"""The examples of sections 12 to 17 of docs/protocol.md, byte for byte, with a real server and a real store.

In them, `...` stands for what cannot be known before, as do times; `k4T...` for a key, which is the same wherever it
stands, and `9f86...` and `4be1...` for the hashes of the file and the picture. As a body, `...` stands for the piece of
the file that is meant, or for the picture.
"""

import hashlib
import re

from tests.server.place import Place
from tests.server.test_conversation import EXAMPLES
from tests.sockets import Peer, patiently
from tests.store.pictures import webp

FILE = bytes(range(256)) * 273 + b"\n" * 112
"""The 70,000 bytes of the example."""

HASH = hashlib.sha256(FILE).hexdigest().encode()
PICTURE = webp(b"VP8X", b"\0\0\0\0\x1f\0\0\x1f\0\0").ljust(9120, b"\0")
"""The 9,120 bytes of the picture of the example."""

UNKNOWN = re.compile(rb"\w*\\\.\\\.\\\.|\d{4}\\-\d\d\\-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z")


def read_frame(peer: Peer) -> tuple[bytes, bytes]:
    """The next frame as it is written: its head, and its body."""
    head = b""
    while not head.endswith(b"\n\n"):
        byte = peer.read(1)
        assert byte, head
        head += byte
    length = re.search(rb"^Content-length: (\d+)$", head, re.MULTILINE)
    return head, peer.read(int(length[1])) if length else b""


class Script:
    """Plays examples: writes what clients write, and sees the server write what it should.

    Attributes:
        peers: the devices of those who take part.
        known: what stands for what.
    """

    def __init__(self, place: Place, *names: bytes) -> None:
        self.peers = {name: place.alice() if name == b"alice" else place.device(name) for name in names}
        self.known = {b"9f86...": HASH, b"4be1...": hashlib.sha256(PICTURE).hexdigest().encode()}

    def play(self, rule: str) -> None:
        for name, writer, text in EXAMPLES[rule]:
            peer = self.peers[name.encode()]
            if writer == "C":
                peer.write(self.filled(text))
            else:
                self.expect(peer, text)

    def filled(self, text: bytes) -> bytes:
        """What a client writes, with what is known in its place."""
        for word, value in self.known.items():
            text = text.replace(word, value)
        if text.endswith(b"\n\n..."):
            text = text.removesuffix(b"...") + self.piece(text)
        return text

    def piece(self, head: bytes) -> bytes:
        numbers = {name: int(value) for name, value in re.findall(rb"^([\w-]+): (\d+)$", head, re.MULTILINE)}
        return FILE[numbers[b"Offset"] :][: numbers[b"Content-length"]] if b"Offset" in numbers else PICTURE

    def expect(self, peer: Peer, text: bytes) -> None:
        """The next frame is this."""
        found = read_frame(peer)
        head, _, body = text.partition(b"\n\n")
        body = self.piece(head) if body == b"..." else body
        for expected, part in zip((head + b"\n\n", body), found, strict=True):
            pattern = UNKNOWN.sub(self.unknown, re.escape(expected))
            match = re.fullmatch(pattern, part)
            assert match, (part[:500], expected[:500])
            self.known |= {b"k4T...": match["key"]} if b"?P<key>" in pattern else {}

    def unknown(self, match: re.Match[bytes]) -> bytes:
        word = match[0].replace(b"\\", b"")
        if word in self.known:
            return re.escape(self.known[word])
        return rb"(?P<key>[\w-]{32})" if word == b"k4T..." else rb"[^\n\"]+"

    def ask(self, name: bytes, text: bytes) -> tuple[bytes, bytes]:
        """Write something that is in no example, and read the answer."""
        self.peers[name].write(text)
        return read_frame(self.peers[name])


def room_of(place: Place, *names: bytes) -> Script:
    """A device of each of these, who are in the room #team and have read what happened there."""
    script = Script(place, *names)
    for number, name in enumerate(names):
        do = b"join" if number else b"create\nAccess: public"
        head, _ = script.ask(name, b"ROOM #team\nDo: %b\n\n" % do)
        assert head.startswith(b"ROOM #team\n")
        for each in names[: number + 1]:
            head, _ = read_frame(script.peers[each])
            assert b"\nPlace: %d\n" % (number + 1) in head
    return script


def test_a_room_is_made(place: Place) -> None:
    """Rule 12.2."""
    Script(place, b"alice", b"bob").play("12.2")


def test_a_message_to_a_room(place: Place) -> None:
    """Rule 12.5."""
    room_of(place, b"alice", b"bob", b"carol").play("12.5")


def test_what_happens_in_a_room(place: Place) -> None:
    """Rule 12.8."""
    script = Script(place, b"alice", b"bob")
    script.ask(b"alice", b"ROOM #team\nDo: create\n\n")
    read_frame(script.peers[b"alice"])
    script.play("12.8")


def test_a_guest_in_a_room(place: Place) -> None:
    """Rule 12.13."""
    script = Script(place, b"alice")
    script.peers[b"ann"] = place.guest(b"ann")
    script.play("12.13")


def test_a_message_is_edited_and_deleted(place: Place) -> None:
    """Rule 13.3."""
    Script(place, b"alice", b"bob").play("13.3")


def test_a_conversation_is_muted(place: Place) -> None:
    """Rule 14.3."""
    Script(place, b"alice").play("14.3")


def test_messages_are_found(place: Place) -> None:
    """Rule 14.5; they are a few moments after they were sent."""
    script = room_of(place, b"alice", b"bob")
    for number, body in enumerate((b"wild oats, red", b"Red: Wild Oats!"), 1):
        head = b"SEND #team\nId: m%d\nContent-length: %d\n\n" % (number, len(body))
        assert b"ACCEPTED" in script.ask(b"bob", head + body)[0]
        assert read_frame(script.peers[b"alice"])[1] == body
    for _ in patiently():
        count = 0
        head, _ = script.ask(b"alice", b"SEARCH\nContent-length: 4\n\noats")
        while head.startswith(b"FORWARD"):
            count += 1
            head, _ = read_frame(script.peers[b"alice"])
        assert head.startswith(b"SEARCH")
        if count == 2:
            break
    script.play("14.5")
    script.play("14.8")


def test_who_is_here(place: Place) -> None:
    """Rule 15.1: bob, who has written to alice."""
    script = Script(place, b"alice", b"bob")
    script.ask(b"bob", b"SEND alice\nId: b1\nContent-length: 0\n\n")
    read_frame(script.peers[b"alice"])
    head, body = script.ask(b"bob", b"STATUS\nState: away\n\n")
    assert (head.startswith(b"STATUS\n"), body) == (True, b"[]")
    script.play("15.1")


def test_who_comes_to_be_seen(place: Place) -> None:
    """Rule 15.5: bob is here, and carol away in her room."""
    script = Script(place, b"alice", b"bob", b"carol")
    script.ask(b"carol", b"ROOM #team\nDo: create\nAccess: public\n\n")
    read_frame(script.peers[b"carol"])
    for name, state in ((b"alice", b"here"), (b"bob", b"here"), (b"carol", b"away")):
        assert script.ask(name, b"STATUS\nState: %b\n\n" % state)[1] == b"[]"
    script.play("15.5")


def test_a_file_is_sent_and_read(place: Place) -> None:
    """Rules 16.1 to 16.4."""
    Script(place, b"alice", b"bob").play("16.4")


def test_a_voice_note_is_sent(place: Place) -> None:
    """Rule 16.7."""
    Script(place, b"alice", b"bob").play("16.7")


def test_a_report(place: Place) -> None:
    """Rule 17.1."""
    Script(place, b"alice").play("17.1")


def test_a_profile_is_changed(place: Place) -> None:
    """Rules 18.3 and 18.5."""
    script = room_of(place, b"alice", b"bob")
    script.play("18.3")
    script.play("18.5")


def test_a_member_wants_no_email(place: Place) -> None:
    """Rule 18.6."""
    Script(place, b"alice").play("18.6")


def test_a_message_is_answered(place: Place) -> None:
    """Rule 13.6."""
    Script(place, b"alice", b"bob").play("13.6")


def test_a_message_is_updated_by_a_later_one(place: Place) -> None:
    """Rule 21.6."""
    Script(place, b"alice", b"bob").play("21.6")


def test_a_message_is_pinned(place: Place) -> None:
    """Rule 13.9."""
    Script(place, b"alice", b"bob").play("13.9")


def test_a_conversation_is_pinned_and_muted_for_a_while(place: Place) -> None:
    """Rule 14.6."""
    Script(place, b"alice").play("14.6")


def test_a_message_is_sent_on(place: Place) -> None:
    """Rule 13.11."""
    Script(place, b"alice", b"bob", b"carol").play("13.11")
