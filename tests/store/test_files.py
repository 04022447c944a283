"""The folder and the file: who may open it, what is refused, backups, damage."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker, brief
from twotick.store.port import StoreError, StoreLimits
from twotick.store.requests.members import AddMember, AddToken, FindMember, Member, RemoveMember, Revoke, SetPassword
from twotick.store.requests.messages import Appended, Fetch, MessageAction, Prune
from twotick.store.requests.presence import ListAudience
from twotick.store.sqlite import schema
from twotick.store.sqlite.store import SqliteStore

LIMITS = StoreLimits()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Asker]:
    """Alice and bob on disk."""
    asker = Asker(tmp_path / "data")
    asker.add("alice", "bob")
    yield asker
    assert asker.store.check() == []
    asker.store.close()


# Opening


def test_only_the_owner_may_read_what_is_there(tmp_path: Path):
    before = os.umask(0)
    try:
        asker = Asker(tmp_path / "new" / "data")
        asker.add("alice", "bob")
        asker.send("alice", "bob")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "data").iterdir()}
        assert modes == {
            "twotick.db": 0o600,
            "twotick.db-wal": 0o600,
            "twotick.db-shm": 0o600,
            "lock": 0o600,
            "turn": 0o600,
        }
        assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
        asker.store.backup(tmp_path / "copy")
        assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
        asker.store.close()
    finally:
        os.umask(before)


def test_a_second_server_is_refused(kept: Asker):
    assert kept.folder is not None
    with pytest.raises(StoreError, match=f"^{kept.folder} is in use by another server: stop that one first$"):
        SqliteStore(kept.folder, LIMITS)
    script = f"from tests.store.test_files import *\nSqliteStore(Path({str(kept.folder)!r}), LIMITS)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "is in use by another server" in ended.stderr
    kept.reopen()


def test_a_closed_store_is_free_and_keeps_all(kept: Asker):
    kept.send("alice", "bob", id=b"m1")
    kept.store.close()
    kept.reopen()
    assert brief(kept.log("bob")) == [(1, "RECEIVED", b"m1")]


def test_administration_works_beside_a_server_which_notices(kept: Asker):
    assert kept.folder is not None
    assert not kept.store.changed()
    kept.send("alice", "bob", id=b"m1")
    assert not kept.store.changed(), "what it wrote itself is no news"
    admin = SqliteStore(kept.folder, LIMITS, exclusive=False)
    carol, token = admin.apply([AddMember("carol", "", NOW), AddToken(kept.members["bob"], "phone", b"one", NOW)])
    assert isinstance(carol, Member)
    assert token is None
    assert kept.store.changed()
    assert not kept.store.changed()
    assert kept.ask(FindMember("carol")) == carol
    kept.members["carol"] = carol.number
    kept.send("alice", "carol", id=b"m2")
    assert admin.apply([Revoke(kept.members["bob"], "main"), RemoveMember("carol", NOW)])[0] is True
    assert kept.ask(kept.append("alice", "bob", id=b"m3")) != []
    assert brief(kept.log("alice")) == [
        (1, "SENT", b"m1"),
        (2, "SENT", b"m2"),
        (3, "FAILED", b"m2"),
        (4, "SENT", b"m3"),
    ]
    assert kept.cursors("bob") == {"phone": None}
    admin.close()


def test_revoking_the_slowest_device_is_the_first_thing_that_is_done(kept: Asker):
    """The mailbox holds what that device did not have, and is not in memory yet."""
    kept.open("bob", "phone")
    kept.send("alice", "bob")
    kept.ack("bob", 1)
    kept.reopen()
    assert kept.ask(Revoke(kept.members["bob"], "phone")) is True
    assert kept.store.check() == []


def test_administration_does_not_settle_what_the_server_has_under_way(kept: Asker):
    assert kept.folder is not None
    kept.send("alice", to="dan", live=True)
    SqliteStore(kept.folder, LIMITS, exclusive=False).close()
    assert len(kept.log("alice")) == 1


def test_a_file_of_a_newer_version_is_refused(kept: Asker):
    assert kept.folder is not None
    kept.store.close()
    file = kept.folder / "twotick.db"
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match=r"twotick\.db was written by a newer version of Twotick"):
        SqliteStore(kept.folder, LIMITS)
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {len(schema.STEPS)}")
    connection.close()
    kept.reopen()


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path):
    file = tmp_path / "twotick.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE somebody_elses (x)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"twotick\.db is not a database of Twotick"):
        SqliteStore(tmp_path, LIMITS)
    assert file.read_bytes() == before
    file.write_bytes(b"It is a truth universally acknowledged, " * 100)
    with pytest.raises(StoreError, match=r"twotick\.db is not a database of Twotick"):
        SqliteStore(tmp_path, LIMITS)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be used: Not a directory"):
        SqliteStore(tmp_path / "file" / "data", LIMITS)


def test_an_older_file_is_brought_up_to_date(kept: Asker, monkeypatch: pytest.MonkeyPatch):
    kept.send("alice", "bob", id=b"m1")
    assert kept.folder is not None
    steps = (*schema.STEPS, "CREATE TABLE later (x); -- a comment; with a semicolon\nINSERT INTO later VALUES (';');")
    monkeypatch.setattr("twotick.store.sqlite.schema.STEPS", steps)
    monkeypatch.setattr("twotick.store.sqlite.database.STEPS", steps)
    with pytest.raises(StoreError, match="in use by another server, and its data are not upgraded yet"):
        SqliteStore(kept.folder, LIMITS, exclusive=False)
    kept.reopen()
    assert brief(kept.log("bob")) == [(1, "RECEIVED", b"m1")]
    connection = sqlite3.connect(kept.folder / "twotick.db")
    assert connection.execute("SELECT x FROM later").fetchall() == [(";",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    connection.close()


def test_a_step_that_fails_changes_nothing(kept: Asker, monkeypatch: pytest.MonkeyPatch):
    assert kept.folder is not None
    kept.store.close()
    steps = (*schema.STEPS, "CREATE TABLE later (x); CREATE TABLE member (x);")
    with monkeypatch.context() as patched:
        patched.setattr("twotick.store.sqlite.schema.STEPS", steps)
        patched.setattr("twotick.store.sqlite.database.STEPS", steps)
        with pytest.raises(StoreError, match=r"cannot be brought up to date: .*member already exists"):
            SqliteStore(kept.folder, LIMITS)
    kept.reopen()
    connection = sqlite3.connect(kept.folder / "twotick.db")
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'later'").fetchall() == []
    connection.close()


def test_a_file_of_version_2_gets_rooms(tmp_path: Path):
    """All that was in it is there, also what was in the journal, and is of use for what is new."""
    connection = sqlite3.connect(tmp_path / "twotick.db")
    for step in schema.STEPS[:2]:
        connection.executescript(step)
    connection.executescript(Path(__file__).with_name("version2.sql").read_text())
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    asker = Asker(tmp_path)
    asker.members = {"alice": 1, "Bob": 2, "carol": 3}
    assert asker.store.check() == []
    assert [(entry.seq, entry.kind.name, entry.id, entry.body) for entry in asker.log("alice")] == [
        (1, "SENT", b"m1", b"one"),
        (2, "DELIVERED", b"m1", b""),
        (3, "RECEIVED", b"b1", b"two"),
        (4, "READ", b"m1", b""),
        (5, "SENT", b"m2", b"all"),
        (6, "SENT", b"m3", b"kept"),
        (7, "RECEIVED", b"c1", b"late"),
    ]
    assert [(each.name, each.unread, each.read, each.newest) for each in asker.conversations("Bob")] == [
        ("alice", 1, 1, 5),
        ("dan", 1, 0, 4),
    ]
    assert [asker.ask(ListAudience(number, b"")) for number in (1, 2, 3)] == [[2], [1], []], (
        "but for what was in the journal"
    )
    asker.gather("alice", "Bob", "carol")
    assert asker.say("carol", b"hello").members == 2
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m3", to="carol"))
    assert [entry.body for entry in asker.history("carol", "alice")] == [b"all", b"", b"late", b"", b""]
    assert asker.store.check() == []
    asker.store.close()


# Backup


def test_a_backup_is_a_store_of_that_moment(kept: Asker, tmp_path: Path):
    kept.send("alice", "bob", id=b"m1")
    (tmp_path / "copy").mkdir()
    file = tmp_path / "copy" / "twotick.db"
    file.write_text("an older backup")
    kept.store.backup(file)
    kept.send("alice", "bob", id=b"m2")
    assert [path.name for path in file.parent.iterdir()] == ["twotick.db"]
    copy = Asker(file.parent)
    copy.members = kept.members
    assert brief(copy.log("bob")) == [(1, "RECEIVED", b"m1")]
    assert copy.store.check() == []
    assert (file.parent / "twotick.db-wal").exists(), "what is served has a write-ahead log"
    copy.store.close()


def test_a_backup_is_made_while_a_server_writes(kept: Asker, tmp_path: Path):
    """Another process writes all the while, each message in a batch with its acknowledgement."""
    kept.store.close()
    script = (
        "import sys\nfrom tests.store.writer import write\n"
        f"write({str(kept.folder)!r}, {kept.members['alice']}, {kept.members['bob']})\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert kept.folder is not None
        counts: list[int] = []
        for turn in range(3):
            written = int(writer.stdout.readline())
            admin = SqliteStore(kept.folder, LIMITS, exclusive=False)
            file = tmp_path / f"copy{turn}" / "twotick.db"
            file.parent.mkdir()
            admin.backup(file)
            admin.close()
            copy = Asker(file.parent)
            copy.members = kept.members
            assert copy.store.check() == []
            counts.append(len(copy.fetch("bob", most=10**9).entries))
            assert counts[-1] >= written
            copy.store.close()
        writer.kill()
    assert counts[0] < counts[-1]
    kept.reopen()


def test_two_backups_to_one_file_do_not_mix(kept: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A backup that begins while another one is under way changes nothing."""
    file, replace = tmp_path / "copy", Path.replace
    second = SqliteStore(tmp_path / "data", LIMITS, exclusive=False)
    refused: list[str] = []

    def late(part: Path, target: Path) -> Path:
        with pytest.raises(StoreError) as error:
            second.backup(file)
        refused.append(str(error.value))
        return replace(part, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", late)
        kept.store.backup(file)
    assert refused == [f"the backup to {file} failed: another backup is writing {file}.part; try again when it is done"]
    second.backup(file)
    second.close()
    folder = tmp_path / "restored"
    folder.mkdir()
    file.rename(folder / "twotick.db")
    restored = Asker(folder)
    assert restored.exists("alice")
    restored.store.close()


def test_what_a_killed_backup_has_left_is_no_part_of_the_next(kept: Asker, tmp_path: Path):
    (tmp_path / "copy.part").write_bytes(bytes(100_000))
    kept.store.backup(tmp_path / "copy")
    folder = tmp_path / "restored"
    folder.mkdir()
    (tmp_path / "copy").rename(folder / "twotick.db")
    assert Asker(folder).exists("alice")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "restored"]


def test_a_backup_that_cannot_be_made_says_so(kept: Asker, tmp_path: Path):
    with pytest.raises(StoreError, match=r"the backup to .* failed: .*"):
        kept.store.backup(tmp_path / "nowhere" / "copy")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"the backup to .* failed: Is a directory"):
        kept.store.backup(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


# Check


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE device SET cursor = 9 WHERE member = 2", "the cursor of device main of bob is past"),
        (
            "UPDATE member SET last = 0 WHERE number = 2",
            "entry 1 in the log of bob has a number that was not given out",
        ),
        ("UPDATE member SET entries = 7 WHERE number = 2", "the mailbox of bob holds 1 messages with 5 bytes, but 7"),
        ("UPDATE member SET folded = 'x' WHERE number = 2", "the name of bob and how it is looked up differ"),
        ("DELETE FROM message", "entry 1 in the log of member 2 is about a message that does not exist"),
        ("DELETE FROM log", "message 1 is in no log"),
        ("DELETE FROM member WHERE number = 2", "device main belongs to member 2, who does not exist"),
        ("DELETE FROM member WHERE number = 2", "the log of member 2 is not in the list of members"),
        ("DELETE FROM member WHERE number = 1", "message 1 is from a member who does not exist"),
        ("DELETE FROM content", "message 1 has no content"),
        ("INSERT INTO content VALUES (9, x'', x'')", "there is content of message 9, which does not exist"),
        ("UPDATE content SET body = x''", "the body of message 1 does not have the length that was noted"),
        ("UPDATE message SET waiting = 2, total = 2", "1 recipients of message 1 do not have it, but 2 were counted"),
        ("UPDATE message SET state = 2", "message 1 is in a state that its recipients are not in"),
        ("UPDATE log SET kind = 9 WHERE member = 1", "entry 1 in the log of member 1 is of no known kind"),
        ("UPDATE log SET weight = 3", "entry 1 in the log of member 1 has no known weight"),
        ("UPDATE message SET room = 7, place = number", "message 1 is in a room that does not exist, or at a place"),
        ("UPDATE message SET place = 3 WHERE number = 2", "message 2 is in a room that does not exist, or at a place"),
        ("UPDATE log SET peer = x'61' WHERE message = 2", "message 2 was sent to a room, but entry 2 in the log of"),
        ("INSERT INTO absent VALUES (1, 2, 0)", "message 1 was not kept from member 2"),
        ("INSERT INTO absent VALUES (1, 9, 0)", "message 1 was not kept from member 9, or one of them does not exist"),
        ("INSERT INTO absent VALUES (2, 2, 1)", "2 recipients of message 2 do not have it, but 1 were counted"),
        ("UPDATE room SET name = 'x'", "the name of the room x and how it is looked up differ"),
        ("UPDATE room SET folded = NULL", "the room #Team has no members, or is gone and has some"),
        ("DELETE FROM room_member", "the room #Team has no members, or is gone and has some"),
        ("UPDATE room_member SET role = 2", "the room #Team has 0 owners"),
        ("UPDATE room_member SET role = 7", "member 1 of room 1 does not exist, has no known role"),
        (
            "INSERT INTO room_invitation VALUES (1, 1, 0)",
            "member 1 of room 1 does not exist, has no known role, or is invit",
        ),
        (
            "INSERT INTO room_invitation VALUES (1, 9, 0)",
            "member 9 is invited to room 1, and one of them does not exist",
        ),
        ("INSERT INTO contact VALUES (1, 9)", "member 1 has written to member 9, and one of them does not exist"),
        (
            "INSERT INTO conversation VALUES (9, x'61', 'a', 1, 0, 0, 0, 0.0, 0)",
            "a conversation of member 9 is set, who does not",
        ),
    ],
)
def test_damage_is_found(damage: str, words: str, tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob")
    asker.create("alice")
    assert asker.store.check() == []
    connection = sqlite3.connect(tmp_path / "twotick.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert any(problem.startswith(words) for problem in asker.store.check()), asker.store.check()
    asker.store.close()


def test_a_damaged_file_is_found(tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % i, body=bytes(1000)) for i in range(200)])
    asker.store.close()
    file = tmp_path / "twotick.db"
    content = bytearray(file.read_bytes())
    for page in range(len(content) // 4096 - 30, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = bytes(range(64))
    file.write_bytes(content)
    store = SqliteStore(tmp_path, LIMITS, exclusive=False)
    assert store.check() != []
    with pytest.raises(StoreError, match="the database is damaged"):
        store.apply([Fetch(asker.members["bob"], 0, 1000, 1 << 30)])
    store.close()


# What was deleted


def test_what_is_removed_is_not_left_in_the_file(kept: Asker):
    secret = b"a-secret-that-nobody-else-would-write"
    sent = kept.ask(kept.append("dan", "bob", body=secret))
    assert isinstance(sent, Appended)
    kept.ask(SetPassword("alice", "an-old-password-hash"))
    kept.store.close()
    assert kept.folder is not None
    file = kept.folder / "twotick.db"
    assert secret in file.read_bytes()
    kept.reopen()
    kept.refuse("bob", 1)
    kept.ask(RemoveMember("alice", NOW))
    kept.store.close()
    left = file.read_bytes()
    assert secret not in left
    assert b"an-old-password-hash" not in left
    kept.reopen()


def test_a_room_goes_from_the_file_with_the_last_message_to_it(kept: Asker):
    def rooms() -> int:
        assert kept.folder is not None
        connection = sqlite3.connect(kept.folder / "twotick.db")
        (count,) = connection.execute("SELECT count(*) FROM room").fetchone()
        connection.close()
        return count

    kept.create("alice")
    kept.leave("alice")
    assert kept.ask(Prune(NOW + 100, 1)) is False
    assert rooms() == 1, "alice's log has what happened there"
    kept.ack("alice", 99)
    assert kept.ask(Prune(NOW + 100, 1)) is False
    assert rooms() == 0
