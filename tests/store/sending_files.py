"""Files to send to a store, in fewer words."""

from dataclasses import replace
from hashlib import sha256

from tests.store.helpers import NOW, Asker
from twotick.store.requests.files import PIECE, FileOffer, OfferFile, ReadPiece, WritePiece
from twotick.store.requests.messages import Append, Appended, Expire


def offer(
    asker: Asker,
    name: str,
    content: bytes = b"content",
    *,
    id: bytes = b"f1",  # noqa: A002
    key: bytes = b"key",
    called: str = "photo.png",
    time: float = NOW,
) -> OfferFile:
    return OfferFile(asker.members[name], id, key, called, len(content), sha256(content).digest(), time)


def pieces(asker: Asker, name: str, content: bytes, key: bytes = b"key") -> list[WritePiece]:
    return [
        WritePiece(asker.members[name], key, offset, content[offset : offset + PIECE])
        for offset in range(0, len(content), PIECE)
    ]


def upload(asker: Asker, name: str, content: bytes = b"content", key: bytes = b"key", time: float = NOW) -> None:
    """A complete file; its Id is its key."""
    assert asker.ask(offer(asker, name, content, id=key, key=key, time=time)) == FileOffer(key, 0)
    for piece in pieces(asker, name, content, key):
        assert asker.ask(piece) == FileOffer(key, piece.offset + len(piece.data))


def with_file(asker: Asker, sender: str, *recipients: str, key: bytes = b"key", **more: object) -> Append:
    return replace(asker.append(sender, *recipients, **more), file=key)  # type: ignore[arg-type]


def send_file(asker: Asker, sender: str, *recipients: str, key: bytes = b"key", **more: object) -> Appended:
    sent = asker.ask(with_file(asker, sender, *recipients, key=key, **more))
    assert isinstance(sent, Appended), sent
    return sent


def read(
    asker: Asker, name: str, offset: int = 0, length: int = PIECE, key: bytes = b"key", time: float = NOW
) -> bytes | None:
    """A part of a file; None if it is refused as if there were none."""
    request = ReadPiece(asker.members[name], key, offset, length, time)
    result = asker.ask(request)
    if isinstance(result, bytes):
        return result
    assert asker.refusal(request) == "there is no such file"
    return None


def expire(asker: Asker, time: float) -> None:
    asker.ask(Expire(time))
