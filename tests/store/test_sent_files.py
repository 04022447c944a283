"""Files that members send each other (rules 16.1 to 16.5)."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker
from tests.store.sending_files import expire, offer, pieces, read, send_file, upload, with_file
from twotick.store.port import StoreLimits
from twotick.store.requests.files import PIECE, FileOffer, WritePiece
from twotick.store.requests.messages import Appended, Duplicate, MessageAction, Prune

DAY = 86400.0
CONTENT = bytes(range(256)) * 1000  # 3 pieces of 64 KiB, and 59,392 bytes


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """alice, bob and carol, each with a device."""
    asker = new(tmp_path)
    yield asker
    assert asker.store.check() == []
    asker.store.close()


def new(folder: Path, limits: StoreLimits | None = None) -> Asker:
    asker = Asker(folder / "data", limits)
    asker.add("alice", "bob", "carol")
    return asker


def held(asker: Asker) -> tuple[int, int]:
    """How many files are on the disk, and how many pieces, also of those that are gone."""
    assert asker.folder is not None
    connection = sqlite3.connect(asker.folder / "twotick.db")
    files: int = connection.execute("SELECT count(*) FROM file").fetchone()[0]
    held: int = connection.execute("SELECT count(*) FROM piece").fetchone()[0]
    connection.close()
    return files, held


# Uploading


def test_a_file_is_sent_and_read(asker: Asker):
    upload(asker, "alice", CONTENT)
    send_file(asker, "alice", "bob")
    assert b"".join(read(asker, "bob", at) or b"" for at in range(0, len(CONTENT), PIECE)) == CONTENT


def test_it_goes_on_where_it_was(asker: Asker):
    announced = offer(asker, "alice", CONTENT)
    assert asker.ask(announced) == FileOffer(b"key", 0)
    first, second, *others = pieces(asker, "alice", CONTENT)
    assert asker.ask(first) == FileOffer(b"key", PIECE)
    asker.reopen()
    again = replace(announced, key=b"another", name="other.png", time=NOW + 60)
    assert asker.ask(again) == FileOffer(b"key", PIECE)
    assert asker.ask(second) == FileOffer(b"key", 2 * PIECE)
    asker.reopen()
    for each in others:
        asker.ask(each)
    assert asker.ask(again) == FileOffer(b"key", len(CONTENT))
    send_file(asker, "alice", "bob")
    assert asker.ask(again) == FileOffer(b"key", len(CONTENT)), "also when it was sent: the answer may have been lost"


def test_a_piece_that_is_not_the_next_changes_nothing(asker: Asker):
    asker.ask(offer(asker, "alice", CONTENT))
    first, second, third, fourth = pieces(asker, "alice", CONTENT)
    assert asker.ask(second) == FileOffer(b"key", 0)
    assert asker.ask(first) == FileOffer(b"key", PIECE)
    assert asker.ask(first) == FileOffer(b"key", PIECE)
    assert asker.ask(fourth) == FileOffer(b"key", PIECE)
    assert asker.ask(second) == FileOffer(b"key", 2 * PIECE)
    assert asker.ask(third) == FileOffer(b"key", 3 * PIECE)
    assert asker.ask(fourth) == FileOffer(b"key", len(CONTENT))
    assert asker.ask(replace(fourth, offset=len(CONTENT))) == FileOffer(b"key", len(CONTENT)), "it is complete"
    send_file(asker, "alice", "bob")
    assert read(asker, "bob", 3 * PIECE) == fourth.data


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE + 1])
def test_a_piece_has_its_size(asker: Asker, length: int):
    asker.ask(offer(asker, "alice", CONTENT))
    wrong = WritePiece(asker.members["alice"], b"key", 0, CONTENT[:length])
    assert asker.refusal(wrong) == "a piece has 65536 bytes, and the last one what is left"
    first, *others = pieces(asker, "alice", CONTENT)
    for piece in (first, *others[:-1]):
        asker.ask(piece)
    longer = replace(others[-1], data=others[-1].data + b"x")
    assert asker.refusal(longer) == "a piece has 65536 bytes, and the last one what is left"
    assert asker.ask(others[-1]) == FileOffer(b"key", len(CONTENT))


@pytest.mark.parametrize("restarted", [False, True])
def test_with_a_wrong_hash_it_is_gone(asker: Asker, restarted: bool):
    announced = offer(asker, "alice", CONTENT)
    asker.ask(announced)
    first, *others = pieces(asker, "alice", CONTENT)
    asker.ask(replace(first, data=bytes(PIECE)))
    if restarted:
        asker.reopen()
    for piece in others[:-1]:
        asker.ask(piece)
    assert asker.refusal(others[-1]) == "the hash is wrong: the file is gone"
    assert asker.refusal(others[-1]) == "there is no such file"
    assert asker.refusal(with_file(asker, "alice", "bob")) == "there is no such file"
    expire(asker, NOW)
    assert held(asker) == (0, 0)
    assert asker.ask(replace(announced, key=b"second")) == FileOffer(b"second", 0)
    for piece in (first, *others):
        asker.ask(replace(piece, key=b"second"))
    send_file(asker, "alice", "bob", key=b"second")


def test_a_piece_of_a_batch_that_failed_may_come_again(asker: Asker):
    """What was hashed of it counts for nothing."""
    asker.ask(offer(asker, "alice", CONTENT))
    first, second, *others = pieces(asker, "alice", CONTENT)
    asker.ask(first)
    with pytest.raises(KeyError):
        asker.store.apply([second, "nonsense"])  # type: ignore[list-item]
    for piece in (second, *others):
        asker.ask(piece)
    send_file(asker, "alice", "bob")
    assert read(asker, "bob", PIECE) == second.data


def test_many_files_come_at_once(asker: Asker):
    """More than whose hashes are computed on the way."""
    contents = {b"%d" % number: bytes([number % 256]) * (PIECE + number) for number in range(1, 300)}
    asker.store.apply([offer(asker, "alice", each, id=key, key=key) for key, each in contents.items()])
    asker.store.apply([pieces(asker, "alice", each, key)[0] for key, each in contents.items()])
    results = asker.store.apply([pieces(asker, "alice", each, key)[1] for key, each in contents.items()])
    assert results == [FileOffer(key, len(each)) for key, each in contents.items()]


def test_an_empty_file_is_complete_at_once(asker: Asker):
    announced = offer(asker, "alice", b"")
    assert asker.refusal(replace(announced, digest=sha256(b"x").digest())) == "this is not the hash of an empty file"
    assert asker.ask(announced) == FileOffer(b"key", 0)
    send_file(asker, "alice", "bob")
    assert read(asker, "bob") == b""


def test_an_id_is_of_one_file_and_one_member(asker: Asker):
    asker.ask(offer(asker, "alice", b"content"))
    reason = "another file was announced with this Id"
    assert asker.refusal(offer(asker, "alice", b"CONTENT")) == reason
    assert asker.refusal(offer(asker, "alice", b"content, longer")) == reason
    assert asker.ask(offer(asker, "bob", b"CONTENT", key=b"bob's")) == FileOffer(b"bob's", 0)


def test_nobody_else_writes_to_it(asker: Asker):
    asker.ask(offer(asker, "alice"))
    (piece,) = pieces(asker, "alice", b"content")
    assert asker.refusal(replace(piece, member=asker.members["bob"])) == "there is no such file"
    assert asker.refusal(replace(piece, key=b"kez")) == "there is no such file"
    assert asker.ask(piece) == FileOffer(b"key", 7)


@pytest.mark.parametrize(
    "name", ["a", "Grüße.txt", "...", "x" * 255, "ü" * 127, " a", 'a"b\\c', "CON", "a;b", "\u202e", "-rf"]
)
def test_a_name_is_kept_as_it_is(asker: Asker, name: str):
    asker.ask(offer(asker, "alice", b"", called=name))
    sent = send_file(asker, "alice", "bob")
    assert b"\nFile-name: %b\n" % name.encode() in sent.effects.entries[1].headers


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/", "x" * 256, "ü" * 128, "a\nFile: b", "a\rb", "a\tb", "\0", "\x7f", "\x85", "\ud800"],
)
def test_a_name_that_none_can_have_is_refused(asker: Asker, name: str):
    assert asker.refusal(offer(asker, "alice", b"", called=name)) == "this is no name for a file"


# Limits


def test_a_file_is_not_too_large(tmp_path: Path):
    asker = new(tmp_path, StoreLimits(file_bytes=10))
    assert asker.ask(offer(asker, "alice", bytes(10))) == FileOffer(b"key", 0)
    assert asker.refusal(offer(asker, "bob", bytes(11))) == "a file has at most 10 bytes"
    asker.store.close()


def test_the_files_of_a_member_are_not_too_many(tmp_path: Path):
    asker = new(tmp_path, StoreLimits(files_bytes=3 * PIECE + 1))
    assert asker.ask(offer(asker, "alice", bytes(PIECE + 1), id=b"1", key=b"1")) == FileOffer(b"1", 0)
    upload(asker, "alice", b"", b"2")
    send_file(asker, "alice", "bob", key=b"2")
    third = offer(asker, "alice", b"", id=b"3", key=b"3")
    reason = "the files of a member have at most 196609 bytes together"
    assert asker.ask(third) == FileOffer(b"3", 0), "an empty one counts as a piece"
    assert asker.refusal(offer(asker, "alice", b"", id=b"4", key=b"4")) == reason
    assert asker.ask(offer(asker, "bob", bytes(3 * PIECE), id=b"5", key=b"5")) == FileOffer(b"5", 0)
    expire(asker, NOW + DAY)
    assert asker.ask(offer(asker, "alice", bytes(2 * PIECE), id=b"4", key=b"4")) == FileOffer(b"4", 0)
    asker.store.close()


def test_a_file_that_is_gone_counts_until_it_is_removed(tmp_path: Path):
    """Or else a member could fill the disk faster than it is emptied."""
    asker = new(tmp_path, StoreLimits(files_bytes=100 * PIECE))
    content = bytes(100 * PIECE)
    asker.ask(replace(offer(asker, "alice", content), digest=bytes(32)))
    *others, last = pieces(asker, "alice", content)
    asker.store.apply(others)
    assert asker.refusal(last) == "the hash is wrong: the file is gone"
    assert asker.refusal(offer(asker, "alice", content, id=b"f2")).startswith("the files of a member have at most")
    expire(asker, NOW)
    assert held(asker) == (1, 36)
    assert asker.refusal(offer(asker, "alice", content, id=b"f2")).startswith("the files of a member have at most")
    expire(asker, NOW)
    assert held(asker) == (0, 0)
    assert asker.ask(offer(asker, "alice", content, id=b"f2")) == FileOffer(b"key", 0)
    assert asker.store.check() == []
    asker.store.close()


# Sending


def test_what_is_known_of_it_travels(asker: Asker):
    upload(asker, "alice")
    sent = send_file(asker, "alice", "bob", id=b"m1")
    headers = b"X-a: 1\nFile: key\nFile-name: photo.png\nFile-size: 7\nFile-hash: %b\n"
    headers %= sha256(b"content").hexdigest().encode()
    assert [entry.headers for entry in sent.effects.entries] == [headers, headers]
    assert asker.log("bob") == sent.effects.entries[1:]
    assert asker.history("alice")[0].headers == headers


def test_it_belongs_to_one_message(asker: Asker):
    upload(asker, "alice")
    sent = send_file(asker, "alice", "bob", id=b"m1")
    again = asker.ask(with_file(asker, "alice", "bob", id=b"m1"))
    assert isinstance(again, Duplicate)
    assert again.message == sent.message
    reason = "the file was sent with another message"
    assert asker.refusal(with_file(asker, "alice", "bob", id=b"m2")) == reason


def test_what_cannot_be_sent(asker: Asker):
    asker.ask(offer(asker, "alice", CONTENT))
    assert asker.refusal(with_file(asker, "alice", "bob")) == "the file is not complete"
    for piece in pieces(asker, "alice", CONTENT):
        asker.ask(piece)
    assert asker.refusal(with_file(asker, "bob", "carol")) == "there is no such file"
    assert asker.refusal(with_file(asker, "dan", "carol")) == "there is no such file"
    assert asker.refusal(with_file(asker, "alice", "bob", key=b"kez")) == "there is no such file"
    assert asker.refusal(with_file(asker, "alice", "bob", time=NOW + DAY)) == "there is no such file"
    reason = "files can be sent to members and rooms only"
    assert asker.refusal(with_file(asker, "alice", to="dan", live=True)) == reason
    assert asker.refusal(with_file(asker, "alice", "bob", "carol", live=True)) == reason
    assert asker.refusal(with_file(asker, "alice", "bob", "carol")) == reason
    assert asker.refusal(with_file(asker, "alice", "bob", to="all")) == reason
    for action in (MessageAction.EDIT, MessageAction.DELETE, MessageAction.REACT):
        asker.send("alice", "bob", id=b"m%d" % action)
        request = replace(with_file(asker, "alice", "bob", body=b""), action=action, about=b"m%d" % action)
        assert asker.refusal(request) == "a message that changes another has no file"
    assert asker.log("carol") == []
    assert isinstance(asker.ask(with_file(asker, "alice", "bob")), Appended), "none of it has used it up"


def test_a_message_that_is_refused_leaves_its_file(tmp_path: Path):
    asker = new(tmp_path, StoreLimits(mailbox_entries=1))
    upload(asker, "alice")
    asker.send("alice", "bob")
    assert asker.refusal(with_file(asker, "alice", "bob")) == "the mailbox of bob is full"
    send_file(asker, "alice", "carol")
    asker.store.close()


# Reading


def test_who_has_the_message_has_the_file(asker: Asker):
    upload(asker, "alice")
    assert [read(asker, name) for name in asker.members] == [None, None, None]
    send_file(asker, "alice", "bob")
    assert [read(asker, name) for name in asker.members] == [b"content", b"content", None]
    assert read(asker, "bob", key=b"kez") is None
    assert read(asker, "bob", key=b"") is None


def test_who_refused_the_message_does_not_have_it(asker: Asker):
    upload(asker, "alice")
    send_file(asker, "alice", "bob")
    asker.refuse("bob", 1)
    assert [read(asker, name) for name in asker.members] == [b"content", None, None]


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, PIECE),
        (0, 1),
        (0, 0),
        (1, PIECE),
        (PIECE - 1, 2),
        (PIECE, PIECE),
        (3 * PIECE - 5, PIECE),
        (3 * PIECE, PIECE),
        (len(CONTENT) - 1, PIECE),
        (len(CONTENT), PIECE),
        (4 * PIECE, PIECE),
        (10**10, PIECE),
    ],
)
def test_any_part_can_be_read(asker: Asker, offset: int, length: int):
    upload(asker, "alice", CONTENT)
    send_file(asker, "alice", "bob")
    assert read(asker, "bob", offset, length) == CONTENT[offset : offset + length]


def test_no_more_than_a_piece_is_read_at_once(asker: Asker):
    upload(asker, "alice", CONTENT)
    send_file(asker, "alice", "bob")
    assert read(asker, "bob", 5, 10 * PIECE) == CONTENT[5 : 5 + PIECE]


def test_in_a_room_it_is_for_those_who_may_read_there(asker: Asker):
    asker.create("alice", public=True)
    upload(asker, "alice")
    asker.join("bob")
    send_file(asker, "alice", to="#team")
    assert [read(asker, name) for name in asker.members] == [b"content", b"content", None]
    asker.join("carol")
    asker.leave("bob")
    assert [read(asker, name) for name in asker.members] == [b"content"] * 3, "it is in bob's log, and in the room"
    asker.leave("carol")
    assert read(asker, "carol") is None


def test_a_blocked_user_sends_it_in_vain(asker: Asker):
    asker.set("bob", "alice", blocked=True)
    upload(asker, "alice")
    send_file(asker, "alice", "bob")
    assert [read(asker, name) for name in asker.members] == [b"content", None, None]


def test_a_message_to_a_room_that_is_refused_leaves_its_file(asker: Asker):
    asker.create("alice")
    upload(asker, "bob")
    assert asker.refusal(with_file(asker, "bob", to="#team")) == "there is no such room"
    send_file(asker, "bob", "alice")
    before = asker.history("alice", "#team")
    assert asker.refusal(with_file(asker, "alice", to="#team", key=b"kez")) == "there is no such file"
    assert asker.history("alice", "#team") == before
    assert asker.say("alice").place == 2, "no place was used up"


# The end of it


@pytest.mark.parametrize("to", ["bob", "#team"])
def test_a_deleted_message_takes_its_file_along(asker: Asker, to: str):
    asker.gather("alice", "bob")
    upload(asker, "alice")
    send_file(asker, "alice", *(["bob"] if to == "bob" else []), to=to, id=b"m1")
    asker.ask(asker.correction("alice", MessageAction.EDIT, b"m1", b"other words", to=to, id=b"m2"))
    assert read(asker, "bob") == b"content"
    assert b"\nFile: key\n" in asker.history("bob", "alice" if to == "bob" else to)[-2].headers
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m1", to=to, id=b"m3"))
    assert [read(asker, name) for name in asker.members] == [None, None, None]
    expire(asker, NOW)
    assert held(asker) == (0, 0)


def test_a_file_is_gone_when_its_time_is_over(asker: Asker):
    upload(asker, "alice", CONTENT)
    send_file(asker, "alice", "bob", time=NOW + 0.5 * DAY)
    last = NOW + 30.5 * DAY
    expire(asker, last - 1)
    assert read(asker, "bob", time=last - 1) == CONTENT[:PIECE]
    assert read(asker, "bob", time=last) is None, "also before it is removed"
    assert held(asker) == (1, 4)
    expire(asker, last)
    assert held(asker) == (0, 0)
    assert read(asker, "bob", time=last - 1) is None


def test_a_file_that_is_not_sent_is_gone_after_a_day(asker: Asker):
    upload(asker, "alice", CONTENT)
    expire(asker, NOW + DAY - 1)
    assert held(asker) == (1, 4)
    again = offer(asker, "alice", b"other", id=b"key", time=NOW + DAY)
    assert asker.ask(replace(again, key=b"second")) == FileOffer(b"second", 0), "also before it is removed"
    expire(asker, NOW + DAY)
    assert held(asker) == (1, 0)


def test_a_large_file_is_removed_in_steps(asker: Asker):
    content = bytes(150 * PIECE)
    upload(asker, "alice", content, b"1")
    upload(asker, "alice", b"other", b"2")
    found: list[tuple[int, int]] = []
    while held(asker) != (0, 0):
        expire(asker, NOW + DAY)
        found.append(held(asker))
        with pytest.raises(AssertionError):
            send_file(asker, "alice", "bob", key=b"2")
    assert found == [(2, 87), (2, 23), (0, 0)]


def test_a_pruned_message_takes_its_file_along(asker: Asker):
    upload(asker, "alice")
    send_file(asker, "alice", "bob")
    asker.ack("alice", 1)
    asker.ack("bob", 1)
    asker.ack("alice", 2)
    assert asker.ask(Prune(NOW + DAY, 0.0)) is False
    assert asker.log("bob") == []
    assert read(asker, "bob") is None
    expire(asker, NOW)
    assert held(asker) == (0, 0)


def test_a_member_takes_along_what_it_has_not_sent(asker: Asker):
    upload(asker, "alice", b"sent", b"1")
    upload(asker, "alice", b"not sent", b"2")
    upload(asker, "alice", b"sent to herself", b"3")
    send_file(asker, "alice", "bob", key=b"1")
    send_file(asker, "alice", "alice", key=b"3")
    asker.remove("alice")
    expire(asker, NOW)
    assert held(asker) == (1, 1)
    assert read(asker, "bob", key=b"1") == b"sent"
    asker.remove("bob")
    expire(asker, NOW)
    assert held(asker) == (0, 0)


def test_a_removed_file_is_not_left_on_the_disk(asker: Asker):
    secret = b"a-secret-that-nobody-else-would-write"
    upload(asker, "alice", secret * 5000)
    asker.store.close()
    assert asker.folder is not None
    file = asker.folder / "twotick.db"
    assert secret in file.read_bytes()
    asker.reopen()
    expire(asker, NOW + DAY)
    asker.store.close()
    assert secret not in file.read_bytes()
    assert b"photo.png" not in file.read_bytes()
    asker.reopen()


# The rest


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM file", "there is a piece of file 1, which does not exist"),
        ("DELETE FROM piece", "file 1 has 0 bytes, but 7 were counted"),
        ("UPDATE file SET size = 1", "file 1 is larger than was announced"),
        ("UPDATE file SET member = 9", "file 1 belongs to a member who does not exist"),
        ("UPDATE file SET member = NULL, message = NULL", "file 1 was not sent, and has no owner"),
        ("UPDATE file SET message = 9", "file 1 was sent with message 9, which does not exist"),
        ("UPDATE file SET size = 9", "file 1 was sent with message 1, which does not exist, or before it was complete"),
    ],
)
def test_damage_is_found(damage: str, words: str, tmp_path: Path):
    asker = new(tmp_path)
    upload(asker, "alice")
    send_file(asker, "alice", "bob")
    assert asker.store.check() == []
    assert asker.folder is not None
    connection = sqlite3.connect(asker.folder / "twotick.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert any(problem.startswith(words) for problem in asker.store.check()), asker.store.check()
    asker.store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how large the process is")
def test_a_large_file_takes_little_memory(tmp_path: Path):
    """When the database's own cache is full, which a first file does."""
    script = f"from tests.store.streaming import grown\nprint(grown({str(tmp_path)!r}, 50 << 20))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 4 << 20
