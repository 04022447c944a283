"""Files, with scripted servers that break off or send wrong data (docs/protocol.md, section 16)."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from tests.client.members import Spoken, scripted, scripted_join
from twotick.client import FileInfo, FileMismatch, ProtocolError, RequestRefused
from twotick.wire import Frame, Verb, error, frame

PIECE = 65536
CONTENT = bytes(range(256)) * 2560  # ten pieces
HASH = hashlib.sha256(CONTENT).hexdigest()


class FileServer:
    """The files of a scripted server, over several connections.

    Attributes:
        files: what it has, by the Id under which it was announced.
        announced: the headers of the announcements.
        asked: the offsets that were written or read, in order.
        breaks: after how many pieces it breaks off the connection; None for never.
    """

    def __init__(self) -> None:
        self.files: dict[bytes, bytearray] = {}
        self.announced: list[dict[bytes, bytes]] = []
        self.asked: list[int] = []
        self.breaks: int | None = None

    async def __call__(self, server: Spoken) -> None:
        await server.register()
        left = self.breaks
        self.breaks = None
        while left is None or left > 0:
            head, body = asked = await server.frame()
            if head.verb is Verb.FILE:
                self._announce(server, asked)
            elif head.verb is Verb.PIECE:
                server.write(self.piece(asked, int(head.headers[b"offset"]), body))
                left = None if left is None else left - 1

    def _announce(self, server: Spoken, asked: Frame) -> None:
        fields = asked[0].headers
        self.announced.append(fields)
        have = self.files.setdefault(fields[b"id"], bytearray())
        server.write(frame(Verb.FILE, b"key-" + fields[b"id"], id=fields[b"id"], have=len(have), piece=PIECE))

    def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
        head, _ = asked
        self.asked.append(offset)
        ident = head.headers[b"id"]
        file = self.files[head.name.removeprefix(b"key-")]
        if b"content-length" in head.headers:
            if offset == len(file):
                file += body
            return frame(Verb.PIECE, head.name, id=ident, have=len(file))
        data = bytes(file[offset : offset + int(head.headers[b"length"])])
        return frame(Verb.PIECE, head.name, data, id=ident, offset=offset)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    file.write_bytes(CONTENT)
    return file


class Seen:
    """Records the calls of a progress callback."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def __call__(self, done: int, size: int) -> None:
        assert size == len(CONTENT)
        self.done.append(done)


# Uploads


async def test_a_file_is_uploaded_in_pieces(file: Path) -> None:  # rules 16.1 and 16.2
    server, seen = FileServer(), Seen()
    async with scripted(server) as address, scripted_join(address) as me:
        info = await me.upload(file, progress=seen)
        again = await me.upload(file)
        named = await me.upload(file, name="gr\u00fcn.png")
    first, tried, second, third = server.announced
    assert (first[b"name"], first[b"size"], first[b"hash"]) == (b"photo.png", b"%d" % len(CONTENT), HASH.encode())
    assert info == FileInfo("key-" + first[b"id"].decode(), "photo.png", len(CONTENT), HASH)
    assert server.files[first[b"id"]] == CONTENT
    assert (seen.done[0], seen.done[-1], sorted(seen.done)) == (0, len(CONTENT), seen.done)
    # A file belongs to one message: the second one is another, with another Id.
    assert (tried[b"id"], again.key) == (first[b"id"], "key-" + second[b"id"].decode())
    assert named == FileInfo("key-" + third[b"id"].decode(), "gr\u00fcn.png", len(CONTENT), HASH)
    assert third[b"name"] == "gr\u00fcn.png".encode()
    assert len({first[b"id"], second[b"id"], third[b"id"]}) == len(server.files) == 3


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 4 * PIECE, 4 * PIECE + 1])
async def test_files_of_any_size_can_be_uploaded_and_downloaded(tmp_path: Path, size: int) -> None:
    server = FileServer()
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    async with scripted(server) as address, scripted_join(address) as me:
        info = await me.upload(tmp_path / "a")
        again = await me.upload(tmp_path / "a")
        await me.download(info, tmp_path / "b")
    assert again.key != info.key
    assert (tmp_path / "b").read_bytes() == content
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("pieces", [1, 3, 4, 9])
async def test_an_upload_resumes_on_the_next_connection(file: Path, pieces: int) -> None:
    server = FileServer()
    server.breaks = pieces
    async with scripted(server, server) as address, scripted_join(address) as me:
        info = await me.upload(file)
        ident = info.key.removeprefix("key-").encode()
        assert server.files[ident] == CONTENT
        assert len(server.announced) == 1
        assert len(server.asked) <= 10 + 4


async def test_an_upload_resumes_after_a_restart(file: Path) -> None:
    server = FileServer()
    server.breaks = 6
    gone = asyncio.Event()

    async def first(spoken: Spoken) -> None:
        await server(spoken)
        gone.set()

    async with scripted(first) as address:
        uploading = asyncio.create_task(_upload(address, file))
        await gone.wait()
        uploading.cancel()
        await asyncio.wait([uploading])
    server.asked.clear()
    seen = Seen()
    async with scripted(server) as address, scripted_join(address) as me:
        info = await me.upload(file, progress=seen)
    assert server.files == {info.key.removeprefix("key-").encode(): bytearray(CONTENT)}
    assert server.asked == [offset * PIECE for offset in range(6, 10)]
    assert seen.done[0] == 6 * PIECE


async def _upload(address: str, file: Path) -> None:
    async with scripted_join(address) as me:
        await me.upload(file)


async def test_a_changed_file_is_uploaded_as_another_one(file: Path) -> None:
    server = FileServer()
    async with scripted(server) as address, scripted_join(address) as me:
        await me.upload(file)
        file.write_bytes(CONTENT[::-1])
        await me.upload(file)
    first, second = server.announced
    assert first[b"id"] != second[b"id"]


async def test_a_file_that_shrinks_during_the_upload_fails(file: Path) -> None:
    class Truncating(FileServer):
        def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
            os.truncate(file, 5 * PIECE)
            return super().piece(asked, offset, body)

    server = Truncating()
    async with scripted(server) as address, scripted_join(address) as me:
        with pytest.raises(FileMismatch, match="shorter"):
            await me.upload(file)


@pytest.mark.parametrize("size", [0, 1, PIECE, 9 * PIECE + 5])
async def test_a_file_that_grows_during_the_upload_is_sent_as_it_was(file: Path, size: int) -> None:
    class Appending(FileServer):
        def _announce(self, server: Spoken, asked: Frame) -> None:
            with file.open("ab") as opened:
                opened.write(CONTENT)
            super()._announce(server, asked)

        def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
            with file.open("ab") as opened:
                opened.write(b"more")
            return super().piece(asked, offset, body)

    file.write_bytes(CONTENT[:size])
    server = Appending()
    async with scripted(server) as address, scripted_join(address) as me:
        sent = await me.upload(file)
    assert (sent.size, sent.hash) == (size, hashlib.sha256(CONTENT[:size]).hexdigest())
    assert [bytes(each) for each in server.files.values()] == [CONTENT[:size]]


async def test_the_server_may_refuse_a_file(file: Path) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.FILE)
        server.write(error(102, id=head.headers[b"id"], reason=b"too large"))
        head, _ = await server.expect(Verb.FILE)
        server.write(frame(Verb.FILE, b"k", id=head.headers[b"id"], have=0, piece=PIECE))
        for _ in range(4):
            head, _ = await server.expect(Verb.PIECE)
            server.write(error(102, id=head.headers[b"id"], reason=b"wrong hash"))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(RequestRefused, match="too large"):
            await me.upload(file)
        with pytest.raises(RequestRefused, match="wrong hash"):
            await me.upload(file)


@pytest.mark.parametrize(
    "answer",
    [
        {"have": 0, "piece": 0},
        {"have": 0},
        {"have": 0, "piece": 1 << 40},
        {"piece": PIECE, "key": b"k" * 201},
    ],
)
async def test_malformed_answers_about_a_file_are_protocol_errors(file: Path, answer: dict[str, int | bytes]) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.FILE)
        key, have, piece = answer.get("key", b"k"), answer.get("have"), answer.get("piece")
        assert isinstance(key, bytes)
        server.write(frame(Verb.FILE, key, id=head.headers[b"id"], have=have, piece=piece))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(ProtocolError):
            await me.upload(file)


@pytest.mark.parametrize("have", [0, len(CONTENT) + 1])
async def test_a_server_that_reports_no_progress_is_a_protocol_error(file: Path, have: int) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.FILE)
        server.write(frame(Verb.FILE, b"k", id=head.headers[b"id"], have=0, piece=PIECE))
        for _ in range(4):
            head, _ = await server.expect(Verb.PIECE)
            server.write(frame(Verb.PIECE, b"k", id=head.headers[b"id"], have=have))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(ProtocolError, match="wrong count"):
            await me.upload(file)


async def test_only_regular_files_with_valid_names_are_uploaded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(b"a")
    server = FileServer()
    async with scripted(server) as address, scripted_join(address) as me:
        for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
            with pytest.raises(OSError, match=path.name):
                await me.upload(path)
        for name in ("", "..", "a/b", "a\nSize: 1", "\u00fc" * 128):
            with pytest.raises(ValueError, match="cannot be the name of a file"):
                await me.upload(tmp_path / "a", name=name)
    assert server.announced == []


# Downloads


def given(server: FileServer) -> FileInfo:
    server.files[b"f1"] = bytearray(CONTENT)
    return FileInfo("key-f1", "../photo.png", len(CONTENT), HASH)


async def test_a_file_is_downloaded(tmp_path: Path) -> None:  # rule 16.4
    server, seen = FileServer(), Seen()
    async with scripted(server) as address, scripted_join(address) as me:
        file = given(server)
        await me.download(file, tmp_path / "b", progress=seen)
        assert (tmp_path / "b").read_bytes() == CONTENT
        assert (seen.done[0], seen.done[-1], sorted(seen.done)) == (0, len(CONTENT), seen.done)
        with pytest.raises(FileExistsError):
            await me.download(file, tmp_path / "b")
    assert server.asked == [offset * PIECE for offset in range(10)]
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("pieces", [1, 4, 7])
async def test_a_download_resumes_on_the_next_connection(tmp_path: Path, pieces: int) -> None:
    server = FileServer()
    server.breaks = pieces
    async with scripted(server, server) as address, scripted_join(address) as me:
        await me.download(given(server), tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == CONTENT


async def test_a_download_resumes_after_a_restart(tmp_path: Path) -> None:
    server = FileServer()
    server.breaks = 5
    gone = asyncio.Event()

    async def first(spoken: Spoken) -> None:
        await server(spoken)
        gone.set()

    async def download(address: str) -> None:
        async with scripted_join(address) as me:
            await me.download(given(server), tmp_path / "b")

    async with scripted(first) as address:
        downloading = asyncio.create_task(download(address))
        await gone.wait()
        downloading.cancel()
        await asyncio.wait([downloading])
    (part,) = tmp_path.iterdir()
    assert part.name == f"b.{HASH[:8]}.part"
    assert part.read_bytes() == CONTENT[: 4 * PIECE]
    server.asked.clear()
    async with scripted(server) as address:
        await download(address)
    assert server.asked == [offset * PIECE for offset in range(4, 10)]
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("b", CONTENT)]


@pytest.mark.parametrize("left", [b"x" * PIECE, CONTENT[:-1] + b"x", CONTENT + b"x"])
async def test_a_part_of_another_file_is_detected(tmp_path: Path, left: bytes) -> None:
    server = FileServer()
    (tmp_path / f"b.{HASH[:8]}.part").write_bytes(left)
    async with scripted(server) as address, scripted_join(address) as me:
        file = given(server)
        if left == CONTENT + b"x":
            await me.download(file, tmp_path / "b")
        else:
            with pytest.raises(FileMismatch, match="damaged"):
                await me.download(file, tmp_path / "b")
            assert list(tmp_path.iterdir()) == []
            await me.download(file, tmp_path / "b")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("b", CONTENT)]


@pytest.mark.parametrize("damage", ["bit", "short", "long", "offset", "gone"])
async def test_a_file_with_another_content_is_refused(tmp_path: Path, damage: str) -> None:
    class Damaging(FileServer):
        def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
            head, _ = asked
            ident = head.headers[b"id"]
            data = bytes(self.files[b"f1"][offset : offset + PIECE])
            match damage:
                case "bit":
                    data = bytes([data[0] ^ 1]) + data[1:]
                case "short":
                    data = data[1:]
                case "long":
                    data += b"x"
                case "offset":
                    offset += 1
                case _:
                    return error(102, id=ident, reason=b"there is no such file")
            return frame(Verb.PIECE, head.name, data, id=ident, offset=offset)

    server = Damaging()
    async with scripted(server) as address, scripted_join(address) as me:
        with pytest.raises(RequestRefused if damage == "gone" else FileMismatch):
            await me.download(given(server), tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "file",
    [
        FileInfo("k k", "a", 1, HASH),
        FileInfo("k\nX", "a", 1, HASH),
        FileInfo("k", "a", 1, "x"),
        FileInfo("", "", 0, ""),
    ],
)
async def test_an_incomplete_description_of_a_file_is_refused(tmp_path: Path, file: FileInfo) -> None:
    async with scripted(FileServer()) as address, scripted_join(address) as me:
        with pytest.raises(FileMismatch, match="properly"):
            await me.download(file, tmp_path / "b")


async def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    class Racing(FileServer):
        def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
            (tmp_path / "late").write_bytes(b"other")
            return super().piece(asked, offset, body)

    (tmp_path / "elsewhere").write_bytes(b"other")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / f"c.{HASH[:8]}.part").symlink_to(tmp_path / "elsewhere")
    server = Racing()
    async with scripted(server) as address, scripted_join(address) as me:
        file = given(server)
        for name in ("link", "late"):
            with pytest.raises(FileExistsError):
                await me.download(file, tmp_path / name)
        with pytest.raises(OSError, match=r"c\."):
            await me.download(file, tmp_path / "c")
    assert (tmp_path / "late").read_bytes() == (tmp_path / "elsewhere").read_bytes() == b"other"
    assert not (tmp_path / "nowhere").exists()


async def test_one_program_at_a_time_downloads_a_file(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def wait(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.PIECE)
        go.set()
        await server.end()

    other = FileServer()
    async with scripted(wait) as slow, scripted(other) as address, scripted_join(slow) as first:
        file = given(other)
        downloading = asyncio.create_task(first.download(file, tmp_path / "b"))
        await go.wait()
        async with scripted_join(address) as second:
            with pytest.raises(OSError, match="another program"):
                await second.download(file, tmp_path / "b")
            downloading.cancel()
            await asyncio.wait([downloading])
            await second.download(file, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == CONTENT


class BusyServer(FileServer):
    """It takes each piece only when it comes a second time (rule 16.6)."""

    def __init__(self) -> None:
        super().__init__()
        self.postponed: set[int] = set()

    def piece(self, asked: Frame, offset: int, body: bytes) -> bytes:
        if offset not in self.postponed:
            self.postponed.add(offset)
            return error(105, id=asked[0].headers[b"id"], reason=b"wait", retry_after=0)
        return super().piece(asked, offset, body)


async def test_pieces_that_come_too_early_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not sent again at once, even if the server says so."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    path = tmp_path / "photo.png"
    path.write_bytes(CONTENT)
    files = BusyServer()
    async with scripted(files) as address, scripted_join(address) as me:
        file = await me.upload(path)
    assert bytes(files.files[file.key.removeprefix("key-").encode()]) == CONTENT
    assert len(files.postponed) == 10
    assert pauses.count(1) == 10
