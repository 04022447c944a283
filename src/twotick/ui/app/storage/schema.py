"""The tables of the app's database, and the migration of older versions."""

import sqlite3
from pathlib import Path

from twotick.client.member.events import State
from twotick.client.trust.private_files import create_database
from twotick.ui.app.model.messages import WAITING

_VERSION = 4

_CONVERSATIONS = """
CREATE TABLE conversation (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT '', unread INTEGER NOT NULL DEFAULT 0,
    mentions INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0, muted INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0, topic TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT '',
    members INTEGER NOT NULL DEFAULT 0, access TEXT NOT NULL DEFAULT '', gone INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0, muted_until REAL NOT NULL DEFAULT 0
);
CREATE TABLE place (only INTEGER PRIMARY KEY CHECK (only = 1), conversation TEXT NOT NULL);
"""

_MESSAGES = f"""
CREATE TEMP TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, place INTEGER NOT NULL, ord INTEGER NOT NULL,
    id TEXT NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL, time TEXT NOT NULL, outgoing INTEGER NOT NULL,
    state INTEGER, reason TEXT NOT NULL, mention INTEGER NOT NULL, seq INTEGER NOT NULL DEFAULT 0,
    have INTEGER NOT NULL DEFAULT 0, recipients INTEGER NOT NULL DEFAULT 0, edited TEXT,
    edit_place INTEGER NOT NULL DEFAULT 0, deleted TEXT, more TEXT NOT NULL DEFAULT '', action TEXT NOT NULL DEFAULT '',
    news INTEGER NOT NULL DEFAULT 0, guest INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX by_place ON message (conversation, place, ord);
CREATE INDEX by_seq ON message (seq);
CREATE INDEX by_conversation_seq ON message (conversation, seq);
CREATE INDEX by_id ON message (id) WHERE id <> '';
CREATE INDEX waiting ON message (number) WHERE state = {State.QUEUED.value};
"""

_CHANGES = """
CREATE TEMP TABLE later (
    conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL,
    edited TEXT, deleted TEXT, own INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (conversation, sender, id)
);
CREATE TEMP TABLE reaction (
    conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (conversation, sender, id, name)
);
"""

_ONLY_DRAFTS = """
DELETE FROM conversation WHERE draft = '' AND NOT pinned;
UPDATE conversation SET complete = 0, read = 0, told = 0, unread = 0, mentions = 0, counted = 0;
"""
"""Resets the columns that depend on messages. A guest's messages are not stored on disk, only drafts are."""

_FROM_1 = f"""
ALTER TABLE message RENAME COLUMN seq TO place;
ALTER TABLE message ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE message SET seq = place WHERE ord = 0 AND place < {WAITING};
ALTER TABLE message ADD COLUMN have INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN recipients INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN edited TEXT;
ALTER TABLE message ADD COLUMN edit_place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN deleted TEXT;
ALTER TABLE message ADD COLUMN more TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN action TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN news INTEGER NOT NULL DEFAULT 0;
UPDATE message SET news = NOT outgoing;
DROP INDEX by_seq;
CREATE INDEX by_seq ON message (seq);
CREATE INDEX by_conversation_seq ON message (conversation, seq);
ALTER TABLE conversation ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN mentions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN members INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN access TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET (unread, mentions) = (
    SELECT count(*), coalesce(sum(mention), 0) FROM message m WHERE m.conversation = key AND news AND seq > read
);
"""  # noqa: S608 # contains constants only
"""Migrates a database of version 1 to version 2."""

_FROM_2 = """
ALTER TABLE conversation ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN muted_until REAL NOT NULL DEFAULT 0;
CREATE TABLE place (only INTEGER PRIMARY KEY CHECK (only = 1), conversation TEXT NOT NULL);
"""
"""Migrates a database of version 2 to version 3."""


_OWN_CHANGES = """
ALTER TABLE later ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
UPDATE later SET own = edited IS NOT NULL;
"""
"""Migrates the messages of a database of version 2 or 3 to version 4, together with `_GUESTS`."""

_SAME = (
    "m.id = reaction.id AND m.id <> '' AND m.conversation = reaction.conversation AND lower(m.sender) = reaction.sender"
)

_GUESTS = f"""
ALTER TABLE message ADD COLUMN guest INTEGER NOT NULL DEFAULT 0;
UPDATE message SET guest = 1 WHERE more <> '' AND json_extract(more, '$.guest');
UPDATE OR IGNORE reaction SET sender = sender || ' guest' WHERE name <> sender
    AND EXISTS (SELECT 1 FROM message m WHERE {_SAME} AND m.guest)
    AND NOT EXISTS (SELECT 1 FROM message m WHERE {_SAME} AND NOT m.guest AND m.action = '');
"""  # noqa: S608 # contains constants only
"""Tells messages of guests from those of members who have their names by now. Comes last."""


def open_database(file: Path | None, keep_messages: bool) -> sqlite3.Connection:
    """Open the database, create it if it does not exist, and migrate it if it is of an older version.

    A new file is readable by its owner only.

    Args:
        file: the path of the database; None for a database in memory.
        keep_messages: whether messages are stored in the file, and not only in memory.

    Raises:
        OSError: the file cannot be opened or created.
        sqlite3.Error: the file is not a valid database, is of a newer version, or is in use.
    """
    if file is not None:
        create_database(file)
    connection = sqlite3.connect(file or ":memory:", timeout=0.0, isolation_level=None)
    try:
        _configure(connection)
        _migrate(connection, keep_messages)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")


def _migrate(connection: sqlite3.Connection, keep_messages: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")  # fails if another process uses the file
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    if not 0 <= version <= _VERSION:
        raise sqlite3.DatabaseError(f"it was written by another version of Twotick (format {version})")
    script = ""
    if version == 0:
        script = _CONVERSATIONS + (_on_disk(_MESSAGES + _CHANGES) if keep_messages else "")
    elif version == 1:
        script = _FROM_1 + _on_disk(_CHANGES) + _FROM_2 + _GUESTS
    elif version < _VERSION:
        script = (_FROM_2 if version == 2 else "") + (_OWN_CHANGES + _GUESTS if keep_messages else "")
    if version != _VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {_VERSION}; COMMIT;")
    if not keep_messages:
        connection.executescript(_MESSAGES + _CHANGES + _ONLY_DRAFTS)


def _on_disk(tables: str) -> str:
    """Return the statements that create tables in the file instead of in memory."""
    return tables.replace("CREATE TEMP TABLE", "CREATE TABLE")
