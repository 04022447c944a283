"""Files that programs publish, as to ntfy (rule 22.8)."""

import asyncio
import hashlib
import json
import select
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import twotick
from tests.server.web import publishing
from tests.server.web.publishing import LIMITS, Program
from tests.sockets import PATIENCE, patiently, serving
from twotick.server import ServerLimits
from twotick.server.web.publish.file_names import file_name, file_type
from twotick.store import LogEntry, SqliteStore

FLOWER = b"\xff\xd8\xff" + bytes(range(256)) * 400
LARGE = bytes(range(251)) * 13_000  # more than 3 MiB


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    data = tmp_path_factory.mktemp("attachments") / "data"
    tokens = publishing.prepare(data)
    limits = ServerLimits(register_timeout=2)
    with serving(limits, web=True, data=str(data), file_bytes=4 << 20, files_bytes=24 << 20) as server:
        yield Program(server, data, tokens)


def lines(entry: LogEntry) -> dict[str, str]:
    found = (line.partition(": ") for line in entry.headers.decode().splitlines())
    return {name: value for name, _, value in found}


def curl(program: Program, *arguments: str, path: str = "/bob", body: bytes = b"") -> dict[str, Any]:
    token = f"Authorization: Bearer {program.tokens['one']}"
    url = f"http://{program.address}{path}"
    ended = subprocess.run(["curl", "-sS", "-H", token, *arguments, url], input=body, capture_output=True, check=True)
    assert ended.stderr == b""
    return json.loads(ended.stdout)


def spooled(program: Program) -> int:
    """How many files without a name the server has open in its folder."""
    files = [each for each in program.server.open_files if each.endswith("(deleted)")]
    assert all(each.startswith(str(program.data)) and "twotick.db" not in each for each in files)
    return len(files)


def stored_files(program: Program) -> int:
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        return int(store.looking(lambda tables: tables.direct("SELECT count(*) FROM file").fetchone()[0]))


async def test_curl_publishes_a_file_and_the_recipient_gets_it(program: Program, tmp_path: Path) -> None:
    """A small one, a large one, one of unknown length, and one without a name."""
    (tmp_path / "flower.jpg").write_bytes(FLOWER)
    (tmp_path / "large.bin").write_bytes(LARGE)
    before = len(program.entries())
    answer = curl(program, "-T", str(tmp_path / "flower.jpg"), "-H", "Filename: flower.jpg", "-H", "X-Message: look")
    now = int(time.time())
    found = answer["attachment"]
    assert 29 * 86400 < found.pop("expires") - now < 31 * 86400
    assert found == {"name": "flower.jpg", "type": "image/jpeg", "size": len(FLOWER)}
    assert answer["message"] == "look"
    curl(program, "-T", str(tmp_path / "large.bin"), "-H", "f: ../../large.bin", "-H", "Title: Dump")
    curl(program, "-T", "-", "-H", "Filename: dump.tar", body=LARGE)
    unnamed = curl(program, "--data-binary", "@-", body=FLOWER)
    assert unnamed["message"] == "file: attachment.jpg"
    entries = program.entries()[before:]
    assert [entry.body for entry in entries] == [b"look", b"*Dump*", b"", b""]
    expected = [("flower.jpg", FLOWER), ("large.bin", LARGE), ("dump.tar", LARGE), ("attachment.jpg", FLOWER)]
    for entry, (name, content) in zip(entries, expected, strict=True):
        about = lines(entry)
        assert (about["File-name"], about["File-size"]) == (name, str(len(content)))
        assert about["File-hash"] == hashlib.sha256(content).hexdigest()
    host, port = program.server.address
    async with twotick.join("bob", f"{host}:{port}", token=program.tokens["bob"]) as bob, asyncio.timeout(PATIENCE):
        history = await bob.history("one", limit=3)
        file = history[0].file
        assert file is not None
        await bob.download(file, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == LARGE
    assert spooled(program) == 0


def test_what_is_too_long_for_a_message_becomes_a_file(program: Program) -> None:
    before = len(program.entries())
    for text in (b"x" * ((1 << 20) - 2), b"y" * (2 << 20)):
        assert program.ask("/bob", text, bot="one", title="long")[0] == 200
    assert [lines(entry)["File-name"] for entry in program.entries()[before:]] == ["attachment.txt"] * 2
    assert [entry.body for entry in program.entries()[before:]] == [b"*long*"] * 2


def test_a_link_is_no_file_and_its_name_is_shown(program: Program) -> None:
    before = len(program.entries())
    program.ask("/bob", "look", bot="one", attach="https://example.org/flower.jpg", filename="flower.jpg")
    program.ask("/bob", bot="one", attach="https://example.org/flower.jpg")
    assert program.got()[before:] == [
        "look\nfile: flower.jpg\nhttps://example.org/flower.jpg",
        "triggered\nhttps://example.org/flower.jpg",
    ]


def test_a_file_that_comes_again_is_stored_and_sent_once(program: Program) -> None:
    before, files = len(program.entries()), stored_files(program)
    answers = [program.ask("/bob", LARGE, bot="one", filename="a.bin", idempotency_key="file-7")[2] for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert len(program.entries()) == before + 1
    assert stored_files(program) == files + 1


@pytest.mark.parametrize(
    ("path", "bot", "status", "words", "more"),
    [
        ("/alice", "one", 403, "one may not send there", {}),
        ("/bob", "", 401, "the token is missing or wrong", {}),
        ("/bob", "one", 400, "a file is sent at once", {"delay": "1h"}),
        ("/bob", "one", 400, "the body comes whole", {"content-range": "bytes 0-3262999/9000000"}),
        ("/hooks/bob", "one", 413, "too long", {}),
        ("/message", "one", 413, "too long", {}),
    ],
)
def test_a_file_that_is_refused_stores_nothing(
    program: Program, path: str, bot: str, status: int, words: str, more: dict[str, str]
) -> None:
    before, files = len(program.entries()), stored_files(program)
    try:
        found, _, answer = program.ask(path, LARGE, bot=bot, **more)
    except (BrokenPipeError, ConnectionResetError):
        return  # the server has answered before it had all, and http.client does not look
    assert found == status
    assert words in str(answer)
    assert len(program.entries()) == before
    assert stored_files(program) == files
    assert spooled(program) == 0


def begun(program: Program, length: str, path: str = "/bob") -> socket.socket:
    """Begin to publish a file."""
    assert program.server.page is not None
    peer = socket.create_connection(program.server.page, PATIENCE)
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {program.tokens['one']}\r\n"
    peer.sendall(f"{head}{length}\r\n\r\n".encode())
    return peer


def test_a_file_that_is_cut_off_slow_or_too_large_stores_nothing(program: Program) -> None:
    before, files = len(program.entries()), stored_files(program)
    with closing(begun(program, "Content-Length: 4000000")) as cut:
        cut.sendall(LARGE)
        for _ in patiently():
            if spooled(program):
                break
        assert spooled(program) == 1
    with closing(begun(program, "Content-Length: 4000000")) as slow:
        slow.sendall(LARGE)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    with closing(begun(program, "Content-Length: 5000000")) as announced:
        assert announced.recv(100).startswith(b"HTTP/1.1 413 ")
    with closing(begun(program, "Transfer-Encoding: chunked")) as endless:
        for _ in range(5):
            endless.sendall(b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20)))
        assert endless.recv(100).startswith(b"HTTP/1.1 413 ")
    for _ in patiently():
        if not spooled(program):
            break
    assert spooled(program) == 0
    assert len(program.entries()) == before
    assert stored_files(program) == files


def test_one_bot_does_not_keep_others_from_publishing_files(program: Program) -> None:
    """It takes half of the places for files that arrive at once, and what is refused holds nothing."""
    before = len(program.entries())
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(begun(program, "Content-Length: 4000000"))) for _ in range(12)]
        for each in slow:
            each.sendall(LARGE[: (1 << 20) + 4096])
        for _ in patiently():
            if len(select.select(slow, [], [], PATIENCE)[0]) >= 4:
                break
        for _ in range(12):
            refused = stack.enter_context(closing(begun(program, "Content-Length: 4000000", "/alice")))
            refused.sendall(LARGE[: (1 << 20) + 4096])
            assert refused.recv(100).startswith(b"HTTP/1.1 403 ")
        status, _, answer = program.ask("/bob", LARGE, bot="many")
        assert (status, answer["attachment"]["size"]) == (200, len(LARGE))
    assert len(program.entries()) == before + 1


def test_what_no_bot_has_room_for_is_refused(program: Program) -> None:
    statuses = {program.ask("/bob", LARGE, bot="many", filename=f"{number}.bin")[0] for number in range(8)}
    assert statuses == {200, 507}


@pytest.mark.parametrize(
    ("given", "head", "name", "kind"),
    [
        ("a.png", b"", "a.png", "image/png"),
        ("C:\\temp\\a.txt", b"", "a.txt", "text/plain"),
        ("../..", b"%PDF-1.7", "attachment.pdf", "application/pdf"),
        ("a\r\nFile: b", b"", "a File: b", "application/octet-stream"),
        ("\u00e9" * 200, b"", "\u00e9" * 127, "application/octet-stream"),
        ("", b"plain \xc3", "attachment.txt", "text/plain"),
        ("", b"\xc3\x28", "attachment.bin", "application/octet-stream"),
        ("", b"RIFF1234WEBPVP8 ", "attachment.webp", "image/webp"),
    ],
)
def test_a_file_has_a_name_that_is_harmless_and_says_what_it_is(given: str, head: bytes, name: str, kind: str) -> None:
    assert file_name(given, head) == name
    assert file_type(name) == kind
