"""The database file: what is in it, how it is opened, how an older one is brought up to date."""

# ruff: noqa: S608 - steps are put together from constants of this module, never from what came from outside

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from twotick.store.port import Damaged, DiskFull, StoreError

APPLICATION_ID = 0x54776F74
"""Says in the file's header that it is ours ("Twot")."""

INDEX = """
    -- The parts of the index of words: the table word_N for number N.
    CREATE TABLE word_part (
        number INTEGER PRIMARY KEY,
        texts INTEGER NOT NULL,                   -- that are in it
        wanted INTEGER NOT NULL,                  -- 1: messages were removed whose words are still in the file
        stage INTEGER NOT NULL                    -- of removing them; 0: this is not being done
    ) STRICT;
"""
"""The index of words; see search.py. Never changed, as it is part of a step."""

STEPS = (
    """
    CREATE TABLE member (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: a removed member's number may still be around
        name TEXT NOT NULL,
        folded TEXT NOT NULL UNIQUE,              -- the name in lower case
        password TEXT NOT NULL,
        added REAL NOT NULL,
        last INTEGER NOT NULL DEFAULT 0,          -- the number of the newest entry of the log, which may be gone
        mark INTEGER NOT NULL DEFAULT 0,          -- the entry up to which some device has them all
        entries INTEGER NOT NULL DEFAULT 0,       -- messages in the mailbox, see logs.Mailbox
        bytes INTEGER NOT NULL DEFAULT 0          -- of their bodies
    ) STRICT;

    CREATE TABLE device (
        member INTEGER NOT NULL,
        name TEXT NOT NULL,
        cursor INTEGER,                           -- NULL until it receives for the first time
        token BLOB UNIQUE,                        -- the hash of its token, if it has one
        seen REAL NOT NULL,
        PRIMARY KEY (member, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE invitation (
        digest BLOB NOT NULL PRIMARY KEY,
        expires REAL NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE message (
        number INTEGER PRIMARY KEY,
        sender INTEGER,                           -- NULL: a guest, or a member that was removed
        sender_name BLOB NOT NULL,
        id BLOB NOT NULL,
        recipient BLOB NOT NULL,                  -- as the sender wrote it
        time REAL NOT NULL,
        expires REAL,                             -- NULL: never, or that was seen to
        live INTEGER NOT NULL,                    -- 1: guests get it too, and it is not known what became of that
        size INTEGER NOT NULL,                    -- of the body
        total INTEGER NOT NULL,                   -- recipients; guests count as one
        waiting INTEGER NOT NULL,                 -- those who do not have it and still may
        failed INTEGER NOT NULL,                  -- those who never will
        state INTEGER NOT NULL,
        reason TEXT NOT NULL                      -- of the last failure
    ) STRICT;
    CREATE UNIQUE INDEX message_id ON message (sender, id) WHERE sender IS NOT NULL AND id <> x'';
    CREATE INDEX message_expires ON message (expires) WHERE expires IS NOT NULL AND state = 1;
    CREATE INDEX message_live ON message (number) WHERE live = 1;

    -- Apart from message, whose rows change as messages arrive: a change writes the whole row anew.
    CREATE TABLE content (
        message INTEGER PRIMARY KEY,
        headers BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT;

    CREATE TABLE log (
        member INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        message INTEGER NOT NULL,
        peer BLOB,                                -- RECEIVED and SENT: the other side, in lower case
        device BLOB,                              -- SENT and READ_HERE; else empty or NULL
        up_to INTEGER,                            -- READ_HERE; else 0 or NULL
        taken INTEGER NOT NULL DEFAULT 0,         -- RECEIVED past the mark: 1 if it was read, and so delivered
        PRIMARY KEY (member, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX log_peer ON log (member, peer, seq) WHERE peer IS NOT NULL;
    CREATE INDEX log_message ON log (message);

    CREATE TABLE reading (
        member INTEGER NOT NULL,
        peer BLOB NOT NULL,
        up_to INTEGER NOT NULL,                   -- the entry up to which the member has read the peer's messages
        PRIMARY KEY (member, peer)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE journal (
        number INTEGER PRIMARY KEY,
        rows BLOB NOT NULL                        -- see journal.py
    ) STRICT;
    """,
    """
    CREATE TABLE room (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: a room of the same name is another room
        name TEXT NOT NULL,
        folded TEXT UNIQUE,                       -- the name in lower case; NULL when the room is gone
        public INTEGER NOT NULL,
        topic TEXT NOT NULL,
        last INTEGER NOT NULL DEFAULT 0,          -- the place of the newest message, which may be gone
        open_from INTEGER NOT NULL                -- see rooms.RoomState
    ) STRICT;

    CREATE TABLE room_member (
        room INTEGER NOT NULL,
        member INTEGER NOT NULL,
        role INTEGER NOT NULL,
        since REAL NOT NULL,
        seen_from INTEGER NOT NULL,               -- the place from which on the member may read
        PRIMARY KEY (room, member)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX room_member_member ON room_member (member);

    CREATE TABLE room_invitation (
        room INTEGER NOT NULL,
        member INTEGER NOT NULL,
        PRIMARY KEY (room, member)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX room_invitation_member ON room_invitation (member);

    ALTER TABLE message ADD COLUMN room INTEGER;  -- NULL: it was not sent to a room
    ALTER TABLE message ADD COLUMN place INTEGER NOT NULL DEFAULT 0; -- its number there
    ALTER TABLE message ADD COLUMN about INTEGER NOT NULL DEFAULT 0; -- the message that it edits or deletes
    CREATE UNIQUE INDEX message_place ON message (room, place) WHERE room IS NOT NULL;
    CREATE INDEX message_about ON message (about) WHERE about <> 0;

    -- Recipients of messages in whose logs these are not.
    CREATE TABLE absent (
        message INTEGER NOT NULL,
        member INTEGER NOT NULL,
        waits INTEGER NOT NULL,                   -- 1: blocked, and so waited for until it expires; 0: it failed
        PRIMARY KEY (message, member)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX absent_member ON absent (member);

    -- RECEIVED: 0 if it does not count as unread, 2 if it mentions the member.
    ALTER TABLE log ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
    -- With all that conversations are counted by.
    DROP INDEX log_peer;
    CREATE INDEX log_peer ON log (member, peer, seq, kind, weight) WHERE peer IS NOT NULL;

    CREATE TABLE conversation (
        member INTEGER NOT NULL,
        peer BLOB NOT NULL,                       -- in lower case
        name TEXT NOT NULL,                       -- as it is shown
        muted INTEGER NOT NULL,
        blocked INTEGER NOT NULL,
        PRIMARY KEY (member, peer)
    ) STRICT, WITHOUT ROWID;

    -- To whom members have written; without what is in the journal when a database of version 2 gets this table.
    CREATE TABLE contact (
        member INTEGER NOT NULL,
        other INTEGER NOT NULL,
        PRIMARY KEY (member, other)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX contact_other ON contact (other);
    INSERT INTO contact SELECT DISTINCT l.member, o.number FROM log l
        JOIN member o ON o.folded = CAST(l.peer AS TEXT) JOIN message m ON m.number = l.message
        WHERE l.kind = 2 AND o.number <> l.member AND o.added <= m.time;

    ALTER TABLE member ADD COLUMN shown INTEGER NOT NULL DEFAULT 1; -- whether others may see that the member is here
    """,
    """
    CREATE VIRTUAL TABLE word USING fts5 (
        text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TABLE word_cleaning (
        wanted INTEGER NOT NULL,
        stage INTEGER NOT NULL
    ) STRICT;
    INSERT INTO word_cleaning VALUES (0, 0);
    """,
    """
    CREATE TABLE file (
        number INTEGER PRIMARY KEY,
        key BLOB UNIQUE,                          -- NULL: it is gone, and its pieces are to be removed
        member INTEGER,                           -- whose it is; NULL: that member was removed
        id BLOB NOT NULL,
        name BLOB NOT NULL,
        size INTEGER NOT NULL,
        digest BLOB NOT NULL,
        have INTEGER NOT NULL,                    -- how many of its bytes are here
        message INTEGER UNIQUE,                   -- with which it was sent; NULL if it was not
        expires REAL NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX file_id ON file (member, id) WHERE key IS NOT NULL;
    CREATE INDEX file_member ON file (member);
    CREATE INDEX file_expires ON file (expires);

    CREATE TABLE piece (
        file INTEGER NOT NULL,
        number INTEGER NOT NULL,                  -- from 0
        data BLOB NOT NULL,
        PRIMARY KEY (file, number)
    ) STRICT;

    CREATE TABLE word_progress (
        up_to INTEGER NOT NULL                    -- the number of the message up to which all are in the index
    ) STRICT;
    INSERT INTO word_progress VALUES (0);

    CREATE TABLE report (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: the operator may still see an old list
        member INTEGER NOT NULL,                  -- who may have been removed since
        about BLOB NOT NULL,
        id BLOB NOT NULL,
        copy BLOB,
        text BLOB NOT NULL,
        time REAL NOT NULL
    ) STRICT;
    CREATE INDEX report_member ON report (member);
    """,
    """
    -- Who could see whether members were here who were removed since: they are to be told that these are gone.
    CREATE TABLE farewell (
        member INTEGER NOT NULL,
        other INTEGER NOT NULL,
        time REAL NOT NULL,                       -- of the removal
        PRIMARY KEY (member, other)
    ) STRICT, WITHOUT ROWID;

    -- What members said in rooms who were removed since: their Ids are no longer looked up by the sender's number.
    CREATE INDEX message_orphan ON message (room, id) WHERE sender IS NULL AND room IS NOT NULL AND id <> x'';
    """,
    """
    DROP TABLE word;
    DROP TABLE word_cleaning;
    UPDATE word_progress SET up_to = 0;           -- all messages get into the index anew
    """
    + INDEX,
    """
    -- The server on which guests get a message whose `live` is 1.
    ALTER TABLE message ADD COLUMN server INTEGER NOT NULL DEFAULT 0;
    -- 1: the message is in the word index.
    ALTER TABLE message ADD COLUMN indexed INTEGER NOT NULL DEFAULT 1;
    UPDATE message SET indexed = 0 WHERE number > (SELECT up_to FROM word_progress);
    DROP TABLE word_progress;
    CREATE INDEX message_unindexed ON message (number) WHERE indexed = 0;
    -- Retention looks at the message once everything older than this time is too old.
    ALTER TABLE message ADD COLUMN look_at REAL NOT NULL DEFAULT 0;
    CREATE INDEX message_look_at ON message (look_at);

    CREATE TABLE counter (
        name TEXT NOT NULL PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- The largest number that a message ever had: no number is used twice.
    INSERT INTO counter SELECT 'message', max(ifnull((SELECT max(number) FROM message), 0),
        ifnull((SELECT max(message) FROM content), 0));
    """,
    """
    -- All messages get into the index anew: each word with the key of the audience that may read it.
    SELECT 'DROP TABLE word_' || number FROM word_part;
    DELETE FROM word_part;
    UPDATE message SET indexed = 0;
    -- In whose logs the message was put, as numbers; NULL: to a room, or the log says it.
    ALTER TABLE message ADD COLUMN readers BLOB;

    -- When members were in rooms that they have left since: what they were sent is still in their logs.
    CREATE TABLE room_stay (
        member INTEGER NOT NULL,
        room INTEGER NOT NULL,
        first INTEGER NOT NULL,                   -- the places of the first and the last message
        last INTEGER NOT NULL,
        PRIMARY KEY (member, room, first)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO room_stay SELECT l.member, m.room, min(m.place), max(m.place)
        FROM log l JOIN message m ON m.number = l.message
        LEFT JOIN room_member o ON o.room = m.room AND o.member = l.member
        WHERE m.room IS NOT NULL AND l.kind <= 2 AND (o.member IS NULL OR m.place < o.seen_from)
        GROUP BY l.member, m.room;
    """,
    """
    -- When its owner was told that it stays away; 0 for never. Before seen, it has no meaning.
    ALTER TABLE device ADD COLUMN told REAL NOT NULL DEFAULT 0;
    """,
    """
    -- Messages as they were before their senders edited them, for members who had blocked these by then.
    CREATE TABLE unedited (
        message INTEGER NOT NULL,
        member INTEGER NOT NULL,
        headers BLOB NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (message, member)
    ) STRICT, WITHOUT ROWID;

    -- 1: the member has blocked who invited it, and does not know of the invitation.
    ALTER TABLE room_invitation ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- Rooms that do not know of each other may have one name; at most one of them is public.
    CREATE TABLE new_room (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: a room of the same name is another room
        name TEXT NOT NULL,
        folded TEXT,                              -- the name in lower case; NULL when the room is gone
        public INTEGER NOT NULL,
        topic TEXT NOT NULL,
        last INTEGER NOT NULL DEFAULT 0,          -- the place of the newest message, which may be gone
        open_from INTEGER NOT NULL                -- see rooms.RoomState
    ) STRICT;
    INSERT INTO new_room SELECT number, name, folded, public, topic, last, open_from FROM room;
    DELETE FROM sqlite_sequence WHERE name = 'new_room';
    INSERT INTO sqlite_sequence SELECT 'new_room', seq FROM sqlite_sequence WHERE name = 'room';
    DROP TABLE room;
    ALTER TABLE new_room RENAME TO room;
    CREATE INDEX room_name ON room (folded) WHERE folded IS NOT NULL;
    CREATE UNIQUE INDEX room_public ON room (folded) WHERE public = 1;
    """,
    """
    -- What members say of themselves.
    ALTER TABLE member ADD COLUMN display TEXT NOT NULL DEFAULT '';
    ALTER TABLE member ADD COLUMN status TEXT NOT NULL DEFAULT '';

    -- How conversations are shown.
    ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE conversation ADD COLUMN closed_at INTEGER NOT NULL DEFAULT 0; -- a later entry opens it; 0: it is open
    ALTER TABLE conversation ADD COLUMN muted_until REAL NOT NULL DEFAULT 0; -- while it is muted; 0: for ever

    -- Answers to other messages, and the message with which their thread begins.
    CREATE TABLE reply (
        message INTEGER PRIMARY KEY,
        root INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX reply_root ON reply (root, message);

    CREATE TABLE pin (
        room INTEGER NOT NULL,                    -- 0: it is pinned in a member's conversation with a user
        member INTEGER NOT NULL,                  -- that member; 0 in a room
        peer BLOB NOT NULL,                       -- that user, in lower case; empty in a room
        message INTEGER NOT NULL,
        pinned_by BLOB NOT NULL,                  -- the name as it is shown
        time REAL NOT NULL,
        PRIMARY KEY (room, member, peer, message)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pin_message ON pin (message);
    CREATE INDEX pin_member ON pin (member) WHERE member <> 0;
    ALTER TABLE room ADD COLUMN all_pin INTEGER NOT NULL DEFAULT 0; -- 1: all members may pin messages

    -- Whose pieces a file has, which was sent on without another upload; 0: its own.
    ALTER TABLE file ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX file_source ON file (source) WHERE source <> 0;
    """,
    """
    -- All messages get into the index anew: with names of files, senders, and pairs of letters where no spaces are.
    SELECT 'DROP TABLE word_' || number FROM word_part;
    DELETE FROM word_part;
    UPDATE message SET indexed = 0;
    """,
    """
    CREATE TABLE picture (
        member INTEGER PRIMARY KEY,
        hash TEXT NOT NULL,                       -- its SHA-256, as hexadecimal digits
        data BLOB NOT NULL
    ) STRICT;
    """,
    """
    -- Where notifications for a device are pushed to, and the keys of its browser; NULL: they are not pushed.
    ALTER TABLE device ADD COLUMN endpoint TEXT;
    ALTER TABLE device ADD COLUMN push_key BLOB;
    ALTER TABLE device ADD COLUMN push_auth BLOB;
    ALTER TABLE device ADD COLUMN push_text INTEGER NOT NULL DEFAULT 0; -- 1: with the text of the message
    ALTER TABLE device ADD COLUMN pushed INTEGER NOT NULL DEFAULT 0; -- the entry up to which all was pushed
    CREATE UNIQUE INDEX device_endpoint ON device (endpoint) WHERE endpoint IS NOT NULL;

    -- The key by which push services know this server: one row.
    CREATE TABLE push_key (
        number INTEGER PRIMARY KEY CHECK (number = 1),
        private BLOB NOT NULL,
        public BLOB NOT NULL
    ) STRICT;

    -- 1: every message in a room counts for notifications, not only those that mention the member.
    ALTER TABLE conversation ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- 1: a bot, which may send to and read from those that `bot_right` names, and do nothing else.
    ALTER TABLE member ADD COLUMN bot INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE bot_right (
        member INTEGER NOT NULL,
        peer BLOB NOT NULL,                       -- a user, a room or ALL, in lower case
        name TEXT NOT NULL,                       -- as it is shown
        sends INTEGER NOT NULL,
        reads INTEGER NOT NULL,
        PRIMARY KEY (member, peer)
    ) STRICT, WITHOUT ROWID;

    -- The messages that a later message of the same sender to the same recipient may update.
    CREATE TABLE slot (
        member INTEGER NOT NULL,                  -- the sender
        peer BLOB NOT NULL,                       -- the recipient, in lower case
        key BLOB NOT NULL,
        id BLOB NOT NULL,                         -- the Id of the message
        items BLOB NOT NULL,                      -- what it is about, with spaces between
        time REAL NOT NULL,
        PRIMARY KEY (member, peer, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX slot_time ON slot (member, time);
    """,
    """
    -- Where the server posts what a bot gets. The bot has a device for it, whose cursor is how far it got.
    CREATE TABLE hook (
        member INTEGER PRIMARY KEY,               -- the bot
        url TEXT NOT NULL,
        secret BLOB NOT NULL,                     -- signs what is posted
        added REAL NOT NULL,
        again INTEGER NOT NULL DEFAULT 0          -- 1: the letters are to be posted again
    ) STRICT;

    -- What a hook did not take.
    CREATE TABLE letter (
        member INTEGER NOT NULL,                  -- the bot
        seq INTEGER NOT NULL,                     -- the message in its log
        time REAL NOT NULL,                       -- when the server gave up
        reason TEXT NOT NULL,
        PRIMARY KEY (member, seq)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE member ADD COLUMN disabled REAL NOT NULL DEFAULT 0; -- since when it may not log in; 0: it may
    ALTER TABLE member ADD COLUMN operator INTEGER NOT NULL DEFAULT 0; -- 1: it has the role operator
    ALTER TABLE invitation ADD COLUMN member INTEGER; -- who sets a new password with it; NULL: it is for signing up

    -- What the operator did to members who may be connected: running servers take notice of it.
    CREATE TABLE member_act (
        number INTEGER PRIMARY KEY,               -- in the order of the transactions
        member INTEGER NOT NULL,
        act INTEGER NOT NULL,                     -- see operating.ActKind
        device TEXT NOT NULL,                     -- which device was signed out; empty: all of them
        reason TEXT NOT NULL,                     -- what these are told
        time REAL NOT NULL
    ) STRICT;
    """,
    """
    -- Where members get e-mail about messages that wait for them.
    CREATE TABLE email (
        member INTEGER PRIMARY KEY,
        address TEXT NOT NULL,
        wanted INTEGER NOT NULL,                  -- 1: the member wants it
        told INTEGER NOT NULL,                    -- the entry of the log up to which the member was told
        told_at REAL NOT NULL                     -- when that was; 0 for never
    ) STRICT;
    """,
    """
    ALTER TABLE room ADD COLUMN guests INTEGER NOT NULL DEFAULT 0; -- 1: guests may join it
    """,
    """
    -- Messages that bots want to be sent at a time.
    CREATE TABLE delayed (
        member INTEGER NOT NULL,
        id BLOB NOT NULL,
        peer BLOB NOT NULL,                       -- the recipient in lower case
        recipient BLOB NOT NULL,                  -- as the bot wrote it
        slot BLOB NOT NULL,                       -- what later messages update it by; empty for none
        due REAL NOT NULL,
        attempt REAL NOT NULL,                    -- when it is tried next: not before it is due
        device TEXT NOT NULL,
        token BLOB NOT NULL,                      -- the hash of the token with which it was published
        headers BLOB NOT NULL,
        body BLOB NOT NULL,
        taken INTEGER NOT NULL DEFAULT 0,         -- 1 while it is being sent, so that it cannot be cancelled
        PRIMARY KEY (member, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX delayed_attempt ON delayed (attempt);
    """,
)
"""What makes a database of version n + 1 from one of version n; a SELECT returns further statements. Only ever added
to: no number is used for two layouts, not even before a release. `tests/store/test_formats.py` knows the digest of each
step."""

BUSY_MILLISECONDS = 10_000
"""How long is waited for another process."""

_CACHE_KIB = 32 << 10
_CHECKPOINT_PAGES = 4096

_DAMAGED: Final = "the database is damaged: the server's operator has to restore a backup"


def connect(file: Path | None) -> sqlite3.Connection:
    """Open a database, and set it up; its content is not looked at.

    Args:
        file: where it is. It is made, readable by its owner only, if it is not there.

    Raises:
        StoreError: it cannot be opened.
    """
    if file is not None:
        try:
            # SQLite gives the files that it adds the mode of this one. One that is there must not be opened: with its
            # end, this process would lose the locks of its other connections, and another process take their log.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise StoreError(f"{file} cannot be opened: {error.strerror}") from error
    connection = sqlite3.connect(
        ":memory:" if file is None else file,
        timeout=BUSY_MILLISECONDS / 1000,
        isolation_level=None,  # transactions are ours to begin and end
        check_same_thread=False,  # one thread may open it, and another use it from then on
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        # A write-ahead log that grew in a busy hour, with what was deleted since, does not stay on the disk for ever.
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(file, error) from error
    except UnicodeDecodeError as error:  # the definition of a table is damaged, and SQLite's error quotes it
        connection.close()
        raise Damaged(f"{file} cannot be opened: {_DAMAGED}") from error
    return connection


def version(connection: sqlite3.Connection, file: Path | None) -> int:
    """Which version of the schema a database has; 0 if it is empty.

    Raises:
        StoreError: it is not ours, or of a newer version than this program knows, or cannot be read.
    """
    try:
        ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    if not ours and not (empty and found == 0):
        raise Damaged(f"{file} is not a database of Twotick")
    if found > len(STEPS):
        raise StoreError(
            f"{file} was written by a newer version of Twotick (format {found}; this one knows {len(STEPS)}): install"
            " that version, or restore a backup of this one"
        )
    return found


Layout: TypeAlias = dict[str, list[tuple[Any, ...]]]
"""The columns of each table: name, type, whether they can be NULL, default, and place in the primary key."""


def check_layout(connection: sqlite3.Connection, file: Path | None) -> None:
    """Check that the tables of a database are those of its version.

    A version that was never released may have given the same number to other tables.

    Raises:
        StoreError: they are not.
        sqlite3.Error: they cannot be read.
    """
    connection.execute("BEGIN")  # another process may be bringing the database up to date
    try:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        as_expected = _layout(connection) == _expected(found)
    finally:
        connection.execute("ROLLBACK")
    if not as_expected:
        raise StoreError(
            f"{file} was written by an unreleased version of Twotick, whose format {found} is another one: open it with"
            " that version to export what you need, or restore a backup that a released version made"
        )


def _layout(connection: sqlite3.Connection) -> Layout:
    # Litestream, which copies the write-ahead log to another place, has tables of its own in what it copies.
    names = (
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
        " AND name NOT LIKE 'word%' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_litestream%'"
    )
    columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
    return {name: connection.execute(columns, (name,)).fetchall() for (name,) in connection.execute(names).fetchall()}


@cache
def _expected(number: int) -> Layout:
    """Return the layout of a version."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in STEPS[:number]:
            connection.executescript(step)
        return _layout(connection)


def layout_of_this_version() -> Layout:
    """Return the tables that a database of this program's version has, but for the index of words."""
    return _expected(len(STEPS))


def _unusable(file: Path | None, error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
        return Damaged(f"{file} is not a database of Twotick")
    return store_error(error, f"{file} cannot be opened")


def migrate(connection: sqlite3.Connection, file: Path | None) -> None:
    """Bring a database up to the version of this program, in one transaction.

    Raises:
        StoreError: it cannot be done; the database is as before.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for step in STEPS[version(connection, file) :]:
            for statement in _statements(step):
                for (further,) in connection.execute(statement).fetchall():
                    connection.execute(further)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):  # it is the first error that matters; closing the connection undoes the rest
            connection.execute("ROLLBACK")
        raise store_error(error, f"{file} cannot be brought up to date") from error


@cache
def _statements(script: str) -> list[str]:
    """A script's statements. `executescript` would do, but it commits what was begun."""
    statements: list[str] = []
    start = 0
    for end, letter in enumerate(script):
        if letter == ";" and sqlite3.complete_statement(script[start : end + 1]):
            statements.append(script[start : end + 1])
            start = end + 1
    return statements


def store_error(error: sqlite3.Error, what: str = "") -> StoreError:
    """Return the error that tells users of the store what a database error means.

    Args:
        error: the database error.
        what: what could not be done; nothing if the reason says enough.
    """
    words = f"{what}: {reason(error)}" if what else reason(error)
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(words)
        case _ if _is_full(error):
            return DiskFull(words)
        case _:
            return StoreError(words)


def _is_full(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    # The latter is a disk without room for the file that SQLite's processes share.
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


def reason(error: sqlite3.Error) -> str:
    """What a database error means, for a person."""
    if _is_full(error):
        return "the disk is full"
    code: int = getattr(error, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_IOERR:
            return f"the disk fails ({error.sqlite_errorname})"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another program has locked the database: try again when that has finished"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return f"the database cannot be opened for writing ({error.sqlite_errorname})"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _DAMAGED
        case _:
            return f"the database says: {error}"
