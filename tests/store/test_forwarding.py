"""Messages that are sent on, and the pieces of their files (docs/protocol.md, rules 13.10 and 13.11)."""

import hashlib
from pathlib import Path

from tests.store.helpers import NOW, Asker
from twotick.store import (
    PIECE,
    Append,
    Appended,
    Expire,
    FileOffer,
    MessageAction,
    OfferFile,
    ReadPiece,
    Refusal,
    StoreLimits,
    WritePiece,
)

CONTENT = b"x" * (PIECE + 10)


class Post:
    """Members who send a file on."""

    def __init__(self, folder: Path | None = None, limits: StoreLimits | None = None) -> None:
        self.asker = Asker(folder, limits)
        self.asker.add("alice", "bob", "carol")

    def upload(self, name: str, key: bytes = b"key-a") -> None:
        member = self.asker.members[name]
        digest = hashlib.sha256(CONTENT).digest()
        offer = self.asker.ask(OfferFile(member, key, key, "a", len(CONTENT), digest, NOW))
        assert isinstance(offer, FileOffer)
        for start in range(0, len(CONTENT), PIECE):
            self.asker.ask(WritePiece(member, key, start, CONTENT[start : start + PIECE]))

    def send(self, name: str, to: str, ident: bytes, time: float = NOW, **more: object) -> Appended | Refusal:
        request = Append(
            sender=self.asker.members[name],
            sender_name=name.encode(),
            recipient=to.encode(),
            headers=b"",
            body=b"",
            time=time,
            device=b"main",
            id=ident,
            **more,  # type: ignore[arg-type]
        )
        answer = self.asker.ask(request)
        assert isinstance(answer, Appended | Refusal)
        return answer

    def forward(self, name: str, to: str, whose: bytes, about: bytes, key: bytes, time: float = NOW) -> str:
        answer = self.send(name, to, b"of-" + key, time, forwards=about, forwards_name=whose, new_key=key)
        return answer.reason if isinstance(answer, Refusal) else ""

    def delete(self, name: str, to: str, about: bytes) -> None:
        assert isinstance(self.send(name, to, b"d-" + about, action=MessageAction.DELETE, about=about), Appended)

    def pieces(self) -> int:
        """How many pieces are on the disk, once what is expired was removed."""
        for _ in range(9):
            self.asker.ask(Expire(NOW + 1))
        (count,) = vars(self.asker.store)["_tables"].direct("SELECT count(*) FROM piece").fetchone()
        return int(count)

    def reads(self, name: str, key: bytes, time: float = NOW) -> bool:
        return self.asker.ask(ReadPiece(self.asker.members[name], key, 0, 10, time)) == CONTENT[:10]


def test_pieces_are_kept_until_the_last_message_with_them_is_gone(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.upload("alice")
    post.send("alice", "bob", b"m1", file=b"key-a")
    assert post.forward("bob", "carol", b"alice", b"m1", b"key-b") == ""
    assert post.forward("carol", "alice", b"bob", b"of-key-b", b"key-c") == ""
    assert post.reads("carol", b"key-b")
    assert post.reads("alice", b"key-c")
    assert not post.reads("carol", b"key-a")
    post.delete("alice", "bob", b"m1")
    assert (post.pieces(), post.reads("bob", b"key-a"), post.reads("carol", b"key-b")) == (2, False, True)
    post.delete("bob", "carol", b"of-key-b")
    assert (post.pieces(), post.reads("alice", b"key-c")) == (2, True)
    assert post.asker.store.check() == []
    post.delete("carol", "alice", b"of-key-c")
    assert post.pieces() == 0
    assert post.asker.store.check() == []
    post.asker.store.close()


def test_a_file_that_is_sent_on_counts_for_who_sends_it_on() -> None:
    post = Post(limits=StoreLimits(files_bytes=len(CONTENT)))
    post.upload("alice")
    post.send("alice", "bob", b"m1", file=b"key-a")
    assert post.forward("bob", "carol", b"alice", b"m1", b"key-b") == ""
    assert post.forward("bob", "alice", b"alice", b"m1", b"key-d").startswith("the files of a member have at most")
    post.delete("alice", "bob", b"m1")
    post.upload("alice", b"key-e")  # what she has deleted counts for her no more
    assert post.forward("carol", "alice", b"bob", b"of-key-b", b"key-f") == ""


def test_a_file_that_is_gone_cannot_be_sent_on() -> None:
    post = Post(limits=StoreLimits(file_age=100))
    post.upload("alice")
    post.send("alice", "bob", b"m1", file=b"key-a")
    assert post.forward("bob", "carol", b"alice", b"m1", b"key-b", NOW + 99) == ""
    assert post.forward("bob", "carol", b"alice", b"m1", b"key-c", NOW + 100) == "the file of that message is gone"
    for _ in range(9):
        post.asker.ask(Expire(NOW + 101))
    assert post.reads("carol", b"key-b", NOW + 101)


def test_a_refused_forward_changes_nothing() -> None:
    post = Post()
    post.upload("alice")
    post.send("alice", "bob", b"m1", file=b"key-a")
    gone = "there is no such message, or you may not read it"
    assert post.forward("carol", "bob", b"alice", b"m1", b"key-b") == gone
    assert post.forward("carol", "bob", b"alice", b"m2", b"key-b") == gone
    assert post.forward("bob", "nobody", b"alice", b"m1", b"key-b") == "nobody is not connected"
    assert post.pieces() == 2
    assert not post.reads("bob", b"key-b")
