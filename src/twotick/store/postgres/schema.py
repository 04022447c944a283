"""The tables on PostgreSQL: those of the store on SQLite, without its journal and its index of words.

Versions are expanded and contracted: a step only adds what an older version can do without, and a later release takes
away what none needs any more. So servers of two versions can run side by side during an upgrade.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

import time
from typing import Any, Final

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from twotick.store.port import StoreError
from twotick.store.postgres.connection import PostgresConnection

_MIGRATING: Final = 0x54776F74
SERVING: Final = 0x54776F75
"""Keys of advisory locks: one while the tables are changed, the other while a server uses them."""

_OLDEST: Final = 140000

_CLOCKS_APART: Final = 300.0
"""Seconds by which the clocks of the database and of this machine may differ."""

STEPS: Final = (
    """
    CREATE FUNCTION iif(boolean, anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE
        AS 'SELECT CASE WHEN $1 THEN $2 ELSE $3 END';
    CREATE FUNCTION iif(bigint, anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE
        AS 'SELECT CASE WHEN $1 <> 0 THEN $2 ELSE $3 END';
    CREATE FUNCTION max(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE
        AS 'SELECT greatest($1, $2)';
    CREATE FUNCTION min(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE
        AS 'SELECT least($1, $2)';
    CREATE FUNCTION substr(bytea, bigint, bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
        AS 'SELECT substring($1 FROM $2::int FOR $3::int)';
    CREATE FUNCTION substr(text, bigint, bigint) RETURNS text LANGUAGE sql IMMUTABLE
        AS 'SELECT substring($1 FROM $2::int FOR $3::int)';
    CREATE FUNCTION instr(bytea, bytea) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT position($2 IN $1)';

    CREATE TABLE counter (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL);
    CREATE SEQUENCE message_number;
    CREATE TABLE member (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL,
        folded text COLLATE "C" NOT NULL UNIQUE,
        password text COLLATE "C" NOT NULL,
        added double precision NOT NULL,
        last bigint NOT NULL DEFAULT 0,
        mark bigint NOT NULL DEFAULT 0,
        entries bigint NOT NULL DEFAULT 0,
        bytes bigint NOT NULL DEFAULT 0,
        shown bigint NOT NULL DEFAULT 1,
        display text COLLATE "C" NOT NULL DEFAULT '',
        status text COLLATE "C" NOT NULL DEFAULT ''
    ) WITH (fillfactor = 50);
    CREATE TABLE device (
        member bigint NOT NULL,
        name text COLLATE "C" NOT NULL,
        cursor bigint,
        token bytea UNIQUE,
        seen double precision NOT NULL,
        told double precision NOT NULL DEFAULT 0,
        endpoint text COLLATE "C",
        push_key bytea,
        push_auth bytea,
        push_text bigint NOT NULL DEFAULT 0,
        pushed bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (member, name)
    ) WITH (fillfactor = 50);
    CREATE UNIQUE INDEX device_endpoint ON device (endpoint) WHERE endpoint IS NOT NULL;
    CREATE TABLE push_key (
        number bigint PRIMARY KEY CHECK (number = 1), private bytea NOT NULL, public bytea NOT NULL
    );
    CREATE TABLE invitation (digest bytea PRIMARY KEY, expires double precision NOT NULL);
    CREATE TABLE message (
        number bigint PRIMARY KEY,
        sender bigint,
        sender_name bytea NOT NULL,
        id bytea NOT NULL,
        recipient bytea NOT NULL,
        time double precision NOT NULL,
        expires double precision,
        live bigint NOT NULL,
        size bigint NOT NULL,
        total bigint NOT NULL,
        waiting bigint NOT NULL,
        failed bigint NOT NULL,
        state bigint NOT NULL,
        reason text NOT NULL,
        room bigint,
        place bigint NOT NULL DEFAULT 0,
        about bigint NOT NULL DEFAULT 0,
        server bigint NOT NULL DEFAULT 0,
        indexed bigint NOT NULL DEFAULT 1,
        look_at double precision NOT NULL DEFAULT 0,
        readers bytea
    );
    CREATE UNIQUE INDEX message_id ON message (sender, id) WHERE sender IS NOT NULL AND id <> ''::bytea;
    CREATE INDEX message_expires ON message (expires) WHERE expires IS NOT NULL AND state = 1;
    CREATE INDEX message_live ON message (number) WHERE live = 1;
    CREATE UNIQUE INDEX message_place ON message (room, place) WHERE room IS NOT NULL;
    CREATE INDEX message_about ON message (about) WHERE about <> 0;
    CREATE INDEX message_orphan ON message (room, id) WHERE sender IS NULL AND room IS NOT NULL AND id <> ''::bytea;
    CREATE INDEX message_unindexed ON message (number) WHERE indexed = 0;
    CREATE INDEX message_look_at ON message (look_at);
    CREATE TABLE content (message bigint PRIMARY KEY, headers bytea NOT NULL, body bytea NOT NULL);
    CREATE TABLE log (
        member bigint NOT NULL,
        seq bigint NOT NULL,
        kind bigint NOT NULL,
        message bigint NOT NULL,
        peer bytea,
        device bytea,
        up_to bigint,
        taken bigint NOT NULL DEFAULT 0,
        weight bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (member, seq)
    );
    CREATE INDEX log_peer ON log (member, peer, seq) INCLUDE (kind, weight) WHERE peer IS NOT NULL;
    CREATE INDEX log_message ON log (message);
    CREATE TABLE reading (
        member bigint NOT NULL, peer bytea NOT NULL, up_to bigint NOT NULL, PRIMARY KEY (member, peer)
    );
    CREATE TABLE room (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL,
        folded text COLLATE "C",
        public bigint NOT NULL,
        topic text NOT NULL,
        last bigint NOT NULL DEFAULT 0,
        open_from bigint NOT NULL,
        all_pin bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);
    CREATE INDEX room_name ON room (folded) WHERE folded IS NOT NULL;
    CREATE UNIQUE INDEX room_public ON room (folded) WHERE public = 1;
    CREATE TABLE room_member (
        room bigint NOT NULL, member bigint NOT NULL, role bigint NOT NULL, since double precision NOT NULL,
        seen_from bigint NOT NULL, PRIMARY KEY (room, member)
    );
    CREATE INDEX room_member_member ON room_member (member);
    CREATE TABLE room_invitation (
        room bigint NOT NULL, member bigint NOT NULL, hidden bigint NOT NULL DEFAULT 0, PRIMARY KEY (room, member)
    );
    CREATE INDEX room_invitation_member ON room_invitation (member);
    CREATE TABLE room_stay (
        member bigint NOT NULL, room bigint NOT NULL, first bigint NOT NULL, last bigint NOT NULL,
        PRIMARY KEY (member, room, first)
    );
    CREATE TABLE absent (
        message bigint NOT NULL, member bigint NOT NULL, waits bigint NOT NULL, PRIMARY KEY (message, member)
    );
    CREATE INDEX absent_member ON absent (member);
    CREATE TABLE conversation (
        member bigint NOT NULL,
        peer bytea NOT NULL,
        name text NOT NULL,
        muted bigint NOT NULL,
        blocked bigint NOT NULL,
        pinned bigint NOT NULL DEFAULT 0,
        closed_at bigint NOT NULL DEFAULT 0,
        muted_until double precision NOT NULL DEFAULT 0,
        notify bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (member, peer)
    );
    CREATE TABLE contact (member bigint NOT NULL, other bigint NOT NULL, PRIMARY KEY (member, other));
    CREATE INDEX contact_other ON contact (other);
    CREATE TABLE file (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key bytea UNIQUE,
        member bigint,
        id bytea NOT NULL,
        name bytea NOT NULL,
        size bigint NOT NULL,
        digest bytea NOT NULL,
        have bigint NOT NULL,
        message bigint UNIQUE,
        expires double precision NOT NULL,
        source bigint NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX file_id ON file (member, id) WHERE key IS NOT NULL;
    CREATE INDEX file_member ON file (member);
    CREATE INDEX file_expires ON file (expires);
    CREATE INDEX file_source ON file (source) WHERE source <> 0;
    CREATE TABLE piece (
        file bigint NOT NULL, number bigint NOT NULL, data bytea NOT NULL, PRIMARY KEY (file, number)
    );
    CREATE TABLE report (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        member bigint NOT NULL,
        about bytea NOT NULL,
        id bytea NOT NULL,
        copy bytea,
        text bytea NOT NULL,
        time double precision NOT NULL
    );
    CREATE INDEX report_member ON report (member);
    CREATE TABLE farewell (
        member bigint NOT NULL, other bigint NOT NULL, time double precision NOT NULL, PRIMARY KEY (member, other)
    );
    CREATE TABLE unedited (
        message bigint NOT NULL, member bigint NOT NULL, headers bytea NOT NULL, body bytea NOT NULL,
        PRIMARY KEY (message, member)
    );
    CREATE TABLE reply (message bigint PRIMARY KEY, root bigint NOT NULL);
    CREATE INDEX reply_root ON reply (root, message);
    CREATE TABLE pin (
        room bigint NOT NULL, member bigint NOT NULL, peer bytea NOT NULL, message bigint NOT NULL,
        pinned_by bytea NOT NULL, time double precision NOT NULL, PRIMARY KEY (room, member, peer, message)
    );
    CREATE INDEX pin_message ON pin (message);
    CREATE INDEX pin_member ON pin (member) WHERE member <> 0;
    CREATE TABLE picture (member bigint PRIMARY KEY, hash text NOT NULL, data bytea NOT NULL);
    CREATE TABLE word (message bigint PRIMARY KEY, words text COLLATE "C" NOT NULL, lexemes tsvector NOT NULL);
    CREATE INDEX word_lexemes ON word USING gin (lexemes) WITH (fastupdate = off);
    INSERT INTO counter VALUES ('changes', 0);
    """,
    """
    ALTER TABLE member ADD COLUMN bot bigint NOT NULL DEFAULT 0;
    CREATE TABLE bot_right (
        member bigint NOT NULL, peer bytea NOT NULL, name text NOT NULL, sends bigint NOT NULL, reads bigint NOT NULL,
        PRIMARY KEY (member, peer)
    );
    CREATE TABLE slot (
        member bigint NOT NULL, peer bytea NOT NULL, key bytea NOT NULL, id bytea NOT NULL, items bytea NOT NULL,
        time double precision NOT NULL, PRIMARY KEY (member, peer, key)
    );
    CREATE INDEX slot_time ON slot (member, time);
    """,
    """
    CREATE TABLE hook (
        member bigint PRIMARY KEY, url text NOT NULL, secret bytea NOT NULL, added double precision NOT NULL,
        again bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE letter (
        member bigint NOT NULL, seq bigint NOT NULL, time double precision NOT NULL, reason text NOT NULL,
        PRIMARY KEY (member, seq)
    );
    """,
    """
    ALTER TABLE member ADD COLUMN disabled double precision NOT NULL DEFAULT 0;
    ALTER TABLE member ADD COLUMN operator bigint NOT NULL DEFAULT 0;
    ALTER TABLE invitation ADD COLUMN member bigint;
    CREATE TABLE member_act (
        number bigint PRIMARY KEY,
        member bigint NOT NULL,
        act bigint NOT NULL,
        device text COLLATE "C" NOT NULL,
        reason text NOT NULL,
        time double precision NOT NULL
    );
    """,
    """
    CREATE TABLE server (
        number bigint PRIMARY KEY,
        version text NOT NULL,
        address text NOT NULL,
        alive_until double precision NOT NULL
    );
    ALTER TABLE member ADD COLUMN session bigint NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN session bigint NOT NULL DEFAULT 0, ADD COLUMN server bigint NOT NULL DEFAULT 0;
    INSERT INTO counter VALUES ('identity', floor(random() * 4503599627370496)::bigint);
    """,
    """
    CREATE TABLE guest (folded text COLLATE "C" PRIMARY KEY, server bigint NOT NULL, claim bigint NOT NULL);
    CREATE INDEX device_server ON device (server) WHERE server <> 0;
    """,
    """
    CREATE TABLE failed_login (
        kind bigint NOT NULL, name text COLLATE "C" NOT NULL, times double precision[] NOT NULL,
        latest double precision NOT NULL, PRIMARY KEY (kind, name)
    );
    CREATE INDEX failed_login_latest ON failed_login (kind, latest);
    """,
    """
    CREATE TABLE email (
        member bigint PRIMARY KEY, address text NOT NULL, wanted bigint NOT NULL, told bigint NOT NULL,
        told_at double precision NOT NULL
    );
    """,
    "ALTER TABLE room ADD COLUMN guests bigint NOT NULL DEFAULT 0;",
    """
    CREATE TABLE delayed (
        member bigint NOT NULL, id bytea NOT NULL, peer bytea NOT NULL, recipient bytea NOT NULL, slot bytea NOT NULL,
        due double precision NOT NULL, attempt double precision NOT NULL, device text NOT NULL, token bytea NOT NULL,
        headers bytea NOT NULL, body bytea NOT NULL, taken bigint NOT NULL DEFAULT 0, PRIMARY KEY (member, id)
    );
    CREATE INDEX delayed_attempt ON delayed (attempt);
    """,
)
"""What makes a schema of version n + 1 from one of version n. Only ever added to."""


def check_server(connection: PostgresConnection) -> None:
    """Check that a database can be trusted with messages.

    Raises:
        StoreError: it cannot.
    """
    number = int(_setting(connection, "server_version_num"))
    if number < _OLDEST:
        raise StoreError(f"PostgreSQL {number // 10000} is too old: upgrade it to version 14 or newer")
    if _setting(connection, "synchronous_commit") in ("off", "local"):
        raise StoreError(
            "synchronous_commit is off or local in PostgreSQL, so an accepted message could be lost:"
            " set it to on for this database (ALTER DATABASE ... SET synchronous_commit = on)"
        )
    if _setting(connection, "server_encoding") != "UTF8":
        raise StoreError("the encoding of the database is not UTF8: create one with ENCODING 'UTF8' TEMPLATE template0")

    _check_clock(connection)


def _check_clock(connection: PostgresConnection) -> None:
    row: Any = connection.run("SELECT extract(epoch FROM clock_timestamp())::double precision").fetchone()
    apart = row[0] - time.time()
    if abs(apart) > _CLOCKS_APART:
        raise StoreError(
            f"the clock of the database is {abs(apart):,.0f} seconds {'ahead of' if apart > 0 else 'behind'} that of"
            " this machine: let both follow a time server (NTP)"
        )


def risks(connection: PostgresConnection) -> list[str]:
    """Return what the operator should mend, with the remedy: the database can be used, but may lose what it keeps."""
    return [
        f"{name} is off in PostgreSQL, so a power failure can lose accepted messages: set it to on"
        for name in ("fsync", "full_page_writes")
        if _setting(connection, name) == "off"
    ]


def _setting(connection: PostgresConnection, name: str) -> str:
    return str(connection.run(f"SHOW {name}").fetchone()[0])  # a constant of this module


def migrate(connection: PostgresConnection) -> None:
    """Bring the tables up to the version of this program, while no other process does.

    Raises:
        StoreError: they are of a newer version, or cannot be made.
    """
    connection.begin()
    try:
        connection.run(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        found = _known_version(connection)
        if found < len(STEPS):
            connection.script("CREATE SCHEMA IF NOT EXISTS twotick; SET LOCAL search_path = twotick, pg_catalog")
            for step in STEPS[found:]:
                connection.script(step)
            connection.script(
                f"INSERT INTO counter VALUES ('schema', {len(STEPS)})"
                f" ON CONFLICT (name) DO UPDATE SET value = {len(STEPS)}"
            )
        connection.commit()
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreError(
            f"the user may not create tables in the database ({error}): let a superuser run"
            " GRANT CREATE ON DATABASE name TO user"
        ) from error
    except BaseException:
        if not connection.is_closed:
            connection.script("ROLLBACK")
        raise


def _known_version(connection: PostgresConnection) -> int:
    found = _version(connection)
    if found > len(STEPS):
        raise StoreError(
            f"the database was written by a newer version of Twotick (format {found}; this one knows {len(STEPS)}):"
            " install that version"
        )
    return found


def _version(connection: PostgresConnection) -> int:
    if connection.run("SELECT to_regclass('twotick.counter')::text").fetchone()[0] is None:
        return 0
    row: Any = connection.run("SELECT value FROM twotick.counter WHERE name = 'schema'").fetchone()
    return int(row[0]) if row else 0
