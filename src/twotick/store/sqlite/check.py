"""What must be true of a database, and is not (for `SqliteStore.check`)."""

import sqlite3

from twotick.store.sqlite.word_index import WordIndex

RULES = (
    (
        "the log of member {} is not in the list of members",
        "SELECT DISTINCT member FROM log WHERE member NOT IN (SELECT number FROM member)",
    ),
    (
        "device {1} belongs to member {0}, who does not exist",
        "SELECT member, name FROM device WHERE member NOT IN (SELECT number FROM member)",
    ),
    (
        "the name of {} and how it is looked up differ",
        "SELECT name FROM member WHERE folded <> lower(name) AND folded <> '*' || number",
    ),
    (
        "entry {1} in the log of {0} has a number that was not given out",
        "SELECT m.name, l.seq FROM log l JOIN member m ON m.number = l.member WHERE l.seq < 1 OR l.seq > m.last",
    ),
    (
        "entry {1} in the log of member {0} is of no known kind",
        "SELECT member, seq FROM log WHERE kind NOT BETWEEN 1 AND 6",
    ),
    (
        "entry {1} in the log of member {0} is about a message that does not exist",
        "SELECT member, seq FROM log WHERE message NOT IN (SELECT number FROM message)",
    ),
    (
        "message {} has no content",
        "SELECT number FROM message WHERE number NOT IN (SELECT message FROM content)",
    ),
    (
        "there is content of message {}, which does not exist",
        "SELECT message FROM content WHERE message NOT IN (SELECT number FROM message)",
    ),
    (
        "the body of message {} does not have the length that was noted",
        """
        SELECT m.number FROM message m JOIN content c ON c.message = m.number WHERE m.size <> length(c.body)
        AND instr(c.headers, CAST('Edited: ' AS BLOB)) = 0 AND instr(c.headers, CAST('Deleted: ' AS BLOB)) = 0
        """,
    ),
    (
        "message {} is in no log",
        """
        SELECT number FROM message WHERE live = 0 AND room IS NULL
        AND NOT EXISTS (SELECT 1 FROM log WHERE message = message.number)
        AND NOT EXISTS (SELECT 1 FROM absent WHERE message = message.number AND waits = 1)
        """,
    ),
    (
        "message {} is from a member who does not exist",
        "SELECT number FROM message WHERE sender IS NOT NULL AND sender NOT IN (SELECT number FROM member)",
    ),
    (
        "the cursor of device {1} of {0} is past what was noted as taken, or past the end of the log",
        "SELECT m.name, d.name FROM device d JOIN member m ON m.number = d.member"
        " WHERE d.cursor < 0 OR d.cursor > m.mark OR m.mark > m.last",
    ),
    (
        "{} recipients of message {} do not have it, but {} were counted",
        """
        SELECT waits, number, waiting FROM (
            SELECT m.number, m.waiting, m.live + (
                SELECT count(*) FROM log l JOIN member o ON o.number = l.member
                WHERE l.message = m.number AND l.kind = 1 AND l.seq > o.mark AND l.taken = 0
            ) + (SELECT count(*) FROM absent WHERE message = m.number AND waits = 1) AS waits
            FROM message m
        ) AS counted WHERE waits <> waiting
        """,
    ),
    (
        "message {} is in a state that its recipients are not in",
        """
        SELECT number FROM message WHERE failed < 0 OR waiting + failed > total OR NOT CASE
            WHEN waiting > 0 THEN state = 1
            WHEN failed > 0 THEN state = 4 AND reason <> ''
            ELSE state = 2 OR state = 3 AND total = 1 AND room IS NULL
        END
        """,
    ),
    (
        "the mailbox of {} holds {} messages with {} bytes, but {} with {} were counted",
        """
        SELECT name, held, bytes_held, entries, bytes FROM (
            SELECT m.name, m.entries, m.bytes, count(l.seq) AS held, ifnull(sum(s.size), 0) AS bytes_held
            FROM member m
            LEFT JOIN log l ON l.member = m.number AND l.kind = 1 AND l.seq > ifnull(
                (SELECT min(cursor) FROM device WHERE member = m.number AND cursor IS NOT NULL), m.mark
            )
            LEFT JOIN message s ON s.number = l.message
            WHERE m.folded > '+' -- not of members that are being removed
            GROUP BY m.number
        ) AS counted WHERE held <> entries OR bytes_held <> bytes
        """,
    ),
    (
        "message {} is in a thread, but does not exist",
        "SELECT message FROM reply WHERE message NOT IN (SELECT number FROM message)"
        " UNION SELECT root FROM reply WHERE root NOT IN (SELECT number FROM message)",
    ),
    (
        "there is a piece of file {}, which does not exist",
        "SELECT DISTINCT file FROM piece WHERE file NOT IN (SELECT number FROM file)",
    ),
    (
        "file {} has {} bytes, but {} were counted",
        """
        SELECT number, held, have FROM (
            SELECT number, have, (
                SELECT ifnull(sum(length(data)), 0) FROM piece WHERE piece.file = iif(f.source, f.source, f.number)
            ) AS held
            FROM file f WHERE key IS NOT NULL
        ) AS counted WHERE held <> have
        """,
    ),
    (
        "file {} is larger than was announced",
        "SELECT number FROM file WHERE have > size",
    ),
    (
        "file {} belongs to a member who does not exist",
        "SELECT number FROM file WHERE member IS NOT NULL AND member NOT IN (SELECT number FROM member)",
    ),
    (
        "file {} was not sent, and has no owner",
        "SELECT number FROM file WHERE key IS NOT NULL AND message IS NULL AND member IS NULL",
    ),
    (
        "file {} was sent with message {}, which does not exist, or before it was complete",
        "SELECT number, message FROM file WHERE message IS NOT NULL"
        " AND (have <> size OR message NOT IN (SELECT number FROM message))",
    ),
    (
        "entry {1} in the log of member {0} has no known weight",
        "SELECT member, seq FROM log WHERE weight NOT BETWEEN 0 AND 2",
    ),
    (
        "message {} is in a room that does not exist, or at a place that was not given out",
        """
        SELECT m.number FROM message m LEFT JOIN room r ON r.number = m.room
        WHERE (m.room IS NULL) <> (m.place = 0)
        OR m.room IS NOT NULL AND (r.number IS NULL OR m.place NOT BETWEEN 1 AND r.last)
        """,
    ),
    (
        "message {} was sent to a room, but entry {} in the log of member {} is in another conversation",
        """
        SELECT m.number, l.seq, l.member FROM message m JOIN room r ON r.number = m.room
        JOIN log l ON l.message = m.number WHERE l.kind <= 2 AND l.peer IS NOT CAST(lower(r.name) AS BLOB)
        """,
    ),
    (
        "message {} was not kept from member {}, or one of them does not exist",
        """
        SELECT message, member FROM absent a WHERE message NOT IN (SELECT number FROM message)
        OR member NOT IN (SELECT number FROM member)
        OR EXISTS (SELECT 1 FROM log l WHERE l.message = a.message AND l.member = a.member AND l.kind = 1)
        """,
    ),
    (
        "the name of the room {} and how it is looked up differ",
        "SELECT name FROM room WHERE folded <> lower(name)",
    ),
    (
        "the room {} has no members, or is gone and has some",
        "SELECT name FROM room WHERE (folded IS NULL) = EXISTS (SELECT 1 FROM room_member WHERE room = number)",
    ),
    (
        "the room {} has {} owners",
        """
        SELECT r.name, count(o.member) FROM room r LEFT JOIN room_member o ON o.room = r.number AND o.role = 3
        WHERE r.folded IS NOT NULL GROUP BY r.number HAVING count(o.member) <> 1
        """,
    ),
    (
        "member {1} of room {0} does not exist, has no known role, or is invited as well",
        """
        SELECT room, member FROM room_member o WHERE role NOT BETWEEN 1 AND 3
        OR member NOT IN (SELECT number FROM member) OR room NOT IN (SELECT number FROM room)
        OR EXISTS (SELECT 1 FROM room_invitation i WHERE i.room = o.room AND i.member = o.member)
        """,
    ),
    (
        "member {} is in several rooms with the name {}",
        """
        SELECT o.member, r.folded FROM room_member o JOIN room r ON r.number = o.room
        GROUP BY o.member, r.folded HAVING count(*) > 1
        """,
    ),
    (
        "member {1} is invited to room {0}, and one of them does not exist",
        """
        SELECT room, member FROM room_invitation WHERE member NOT IN (SELECT number FROM member)
        OR room NOT IN (SELECT number FROM room WHERE folded IS NOT NULL)
        """,
    ),
    (
        "member {} has written to member {}, and one of them does not exist",
        """
        SELECT member, other FROM contact WHERE member NOT IN (SELECT number FROM member)
        OR other NOT IN (SELECT number FROM member)
        """,
    ),
    (
        "a conversation of member {} is set, who does not exist",
        "SELECT DISTINCT member FROM conversation WHERE member NOT IN (SELECT number FROM member)",
    ),
)
"""How each kind of problem is told, and the query that finds what to put into it."""

MOST = 20
"""Problems of one kind that are told."""


def problems(connection: sqlite3.Connection) -> list[str] | None:
    """Look for what must not be, in one moment's view of the database.

    Returns:
        The problems in words; at most 20 of each kind. None if nothing was looked at, because rows that a server has
        just written are in the journal, and not in their tables.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    connection.execute("BEGIN")
    try:
        if connection.execute("SELECT 1 FROM journal LIMIT 1").fetchone():
            return None
        found: list[str] = [line for (line,) in connection.execute(f"PRAGMA integrity_check({MOST})") if line != "ok"]
        for words, query in RULES:
            found += [words.format(*row) for row in connection.execute(query).fetchmany(MOST)]
        if not WordIndex(connection.execute).is_sound():
            found.append("the index of words is damaged")
    finally:
        connection.execute("ROLLBACK")
    return found
