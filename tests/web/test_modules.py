"""Run the tests of the page's pure modules in node, and check that its parser agrees with the server's."""

import base64
import json
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.web.tools import needed
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
    vectors.write_text(json.dumps({"read": [_read(Random(seed)) for seed in range(400)], "written": _written()}))
    files = sorted(str(path) for path in MODULES.glob("*.test.mjs"))
    assert files
    environment = {**os.environ, "VECTORS": str(vectors)}
    ended = subprocess.run([node, "--test", *files], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(ended.stdout[-6000:] + ended.stderr[-2000:])


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
