"""Run the tests of the page's pure modules in node, and check that its parser agrees with the server's."""

import base64
import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.tools import needed
from tests.web.tables import ON_MESSAGES, page_keys, tables
from twotick.ui.app.commands import find
from twotick.ui.searching import SearchTextError, parse_search
from twotick.wire import HeadCache, Parser, Verb

MODULES = Path(__file__).parent / "modules"
PIECES = [
    b"SEND bob\nContent-length: 5\n\nhello",
    b"FORWARD alice\r\ncontent-LENGTH:5\r\nX-a: b\r\n\r\nhello",
    b"\n \nSEND  bob \nContent-length:   5  \n \t\nhello",
    b"REGISTERED DUPLEX alice\nDevice: laptop\nWindow: 64\nSeq: 0\n\n",
    b"SEND bob\nContent-length: 0\n\n",
    b"ERROR 102 Unable to send\nId: m2\nReason: carol is not connected\n\n",
    b"FORWARD bob\nContent-length: 7\nTo: #team\n\n\xc3\xa9\x00\xff\n\n\r",
]
BROKEN = [
    b"SEND bob\nContent-length: +5\n\n",
    b"SEND bob\nContent-length: 5\nContent-length: 5\n\nhello",
    b"SEND bob\nContent-length 5\n\n",
    b"SEND bob\n: 5\n\n",
]


def test_the_modules(tmp_path: Path) -> None:
    """The tests in `modules/` say what each module does."""
    node = needed("node", "apt-get install nodejs")
    vectors = tmp_path / "vectors.json"
    vectors.write_text(
        json.dumps(
            {"read": [_read(Random(seed)) for seed in range(400)], "written": _written(), "searches": _searches()}
        )
    )
    files = sorted(str(path) for path in MODULES.glob("*.test.mjs"))
    assert files
    environment = {**os.environ, "VECTORS": str(vectors)}
    ended = subprocess.run([node, "--test", *files], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(ended.stdout[-6000:] + ended.stderr[-2000:])


def test_the_tables_are_those_of_the_terminal_app() -> None:
    """`python -m tests.web.tables` writes them anew."""
    for path, content in tables().items():
        assert path.read_text("utf-8") == content, path


def test_the_keys_of_messages_are_those_of_the_terminal_app() -> None:
    """The dialog of the keys is made from the terminal app's table, and the page must have the same keys."""
    script = (MODULES.parent.parent.parent / "src/twotick/web/static/app/views/message.js").read_text("utf-8")
    found = re.findall(r'name: t\((?:pinned \? "message.unpin" : )?"message\.(\w+)"\), keys: \[([^\]]*)\]', script)
    bound = {word: re.findall(r'"(\w+)"', keys) for word, keys in found}
    shared = {word: command for word in ON_MESSAGES if (command := find(word)) is not None}
    assert bound.pop("report") == [], "on a message, its key in the terminal app opens a link"
    expected = {
        word: [key.capitalize() if len(key) > 1 else key for key in page_keys(each)] for word, each in shared.items()
    }
    assert bound | {"react": ["Plus"]} == expected
    assert 'event.key === "+"' in script


def _searches() -> list[dict[str, Any]]:
    """Return what is typed to search, and what the terminal app understands."""
    texts = [
        "wild oats",
        'from:Bob "red wild" oat* stra\u00dfe in:#team has:file',
        "before:2026-11 after:2026-11-03",
        "after:yesterday before:today x",
        "FROM:me in:@bob a",
        "before:7d",
        "from:",
        "from:b-b",
        "in:#",
        "has:x",
        "before:2026-13",
        "before:soon",
        "from:a from:b",
        "   ",
        '""',
        "e\u0301 (x) +1",
        "x" * 300,
    ]
    now = datetime(2026, 11, 22, 9, 30)
    return [{"text": text, "now": now.timestamp() * 1000, "found": _understood(text, now)} for text in texts]


def _understood(text: str, now: datetime) -> dict[str, Any] | None:
    try:
        found = parse_search(text, "alice", now)
    except SearchTextError:
        return None
    since, until = [time and time.timestamp() * 1000 for time in (found.since, found.until)]
    return {
        "query": found.query,
        "from": found.sender,
        "in": found.peer,
        "since": since,
        "until": until,
        "file": found.has_file,
    }


def _read(random: Random) -> dict[str, Any]:
    """Return bytes in random chunks, and what the server's parser makes of them."""
    data = b"".join(random.choices(PIECES, k=random.randint(1, 4)))
    if random.random() < 0.3:
        data += random.choice(BROKEN)
    chunks: list[bytes] = []
    while data:
        size = random.choice([1, 2, 7, 30, 4096])
        chunks.append(data[:size])
        data = data[size:]
    parser = Parser(HeadCache(1 << 20))
    found = [each for chunk in chunks for each in parser.feed(chunk)]
    whole = [each for each in found if each[0].verb is not Verb.MALFORMED]
    frames = [
        [{name.decode(): value.decode() for name, value in head.headers.items()}, base64.b64encode(body).decode()]
        for head, body in whole
    ]
    broken = len(whole) < len(found)
    return {"chunks": [base64.b64encode(each).decode() for each in chunks], "frames": frames, "broken": broken}


def _written() -> list[dict[str, Any]]:
    """Return frames in pieces, and the bytes that the server's writer makes of them."""
    given: list[tuple[str, list[str], dict[str, str], bytes | None]] = [
        ("PING", [], {}, None),
        ("SEND", ["bob"], {"Id": "m1", "Reply-to": "carol m0"}, "h\u00e9llo".encode()),
        ("SEND", ["#team"], {"Deletes": "m1", "Id": "m2"}, b""),
        ("ROOM", ["#team"], {"Do": "change", "Topic": "caf\u00e9 & tea"}, None),
    ]
    return [
        {
            "verb": verb,
            "words": words,
            "headers": headers,
            "body": None if body is None else base64.b64encode(body).decode(),
            "bytes": base64.b64encode(_plain(verb, words, headers, body)).decode(),
        }
        for verb, words, headers, body in given
    ]


def _plain(verb: str, words: list[str], headers: dict[str, str], body: bytes | None) -> bytes:
    lines = [" ".join([verb, *words])]
    if body is not None:
        lines.append(f"Content-length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\n".join([*lines, "", ""]).encode() + (body or b"")
