"""Writes all that a server has stored about a member to an archive that a person can read (docs/operations.md)."""

import base64
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from twotick.store import EntryKind, MemberExport, MessageState, RoomRole, SqliteStore, StoreError

_README: Final = """All that the server has stored about the member {name}, as of {time}.

profile.json            the account, and what the member says of itself; picture.* is its picture
messages.jsonl          the messages that the member got and sent, and what became of them, oldest first
devices.jsonl           the programs with which the member has logged in
conversations.jsonl     settings of conversations: muted, blocked, pinned, closed; read.jsonl: up to where it has read
rooms.jsonl             the rooms that the member is in; room_invitations.jsonl: to which it is invited
written_to.jsonl        the members to whom it has written alone
pins.jsonl              the messages that it has pinned in conversations with users
reports.jsonl           what it has reported to the operator
files.jsonl             the files that it has uploaded; their contents are in files/
email.jsonl             where e-mail about what waits goes
hook.jsonl, bot_rights.jsonl, delayed.jsonl
                        for a bot, where its messages are posted, what it may do, and what is to be sent later

In a file that ends with .jsonl, each line is an object of JSON. Times are in UTC. What is no text is in base64.
Passwords and tokens are not here: the server has only hashes of them. What other members have stored, for example what
they have reported, belongs to them.
"""

_TIMES: Final = ("time", "expires", "added", "seen", "told", "since", "muted_until", "due")
_FLAGS: Final = (
    *("has_token", "muted", "blocked", "pinned", "public", "shown", "operator", "bot", "with_text", "sends", "reads"),
)
_UNSAFE: Final = re.compile(r"[^\w.() -]")


def export_member(store: SqliteStore, number: int, name: str, target: Path) -> int:
    """Write an archive about a member; it needs little memory, however much there is.

    Args:
        store: the store.
        number: the store's number of the member.
        name: the member's name.
        target: the archive, a ZIP file that only its owner can read. It replaces an older file once it is complete.

    Returns:
        The number of entries of the member's log.

    Raises:
        StoreError: the store cannot be read, or the archive not be written.
    """
    try:
        handle, work = tempfile.mkstemp(prefix=".twotick-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                count = write_archive(store, number, name, file)
            Path(work).replace(target)
        except BaseException:
            Path(work).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error
    return count


def write_archive(store: SqliteStore, number: int, name: str, file: IO[bytes]) -> int:
    """Write an archive about a member to an open file, which may be a pipe; see `export_member`.

    Raises:
        StoreError: the store cannot be read.
        OSError: the archive cannot be written.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return _write(MemberExport(store, number), name, archive)


def _write(found: MemberExport, name: str, archive: zipfile.ZipFile) -> int:
    archive.writestr("README.txt", _README.format(name=name, time=_time(datetime.now(UTC).timestamp())))
    profile, picture = found.profile()
    archive.writestr("profile.json", json.dumps(_object(profile), ensure_ascii=False, indent=2) + "\n")
    if picture is not None:
        archive.writestr(_picture_name(picture), picture)
    count = _write_lines(archive, "messages.jsonl", map(_message, found.messages()))
    for each, rows in found.lists():
        if rows:
            _write_lines(archive, f"{each}.jsonl", map(_object, rows))
    files: list[dict[str, Any]] = []
    for file in found.files():
        path = f"files/{file.number}-{_UNSAFE.sub('_', _text(file.about['name']))[-100:]}"
        files.append({"file": path, **_object({**file.about, "digest": bytes(file.about["digest"]).hex()})})
        with archive.open(path, "w", force_zip64=True) as content:
            for piece in found.content(file):
                content.write(piece)
    _write_lines(archive, "files.jsonl", files)
    return count


def _write_lines(archive: zipfile.ZipFile, name: str, objects: Iterable[dict[str, Any]]) -> int:
    """Write objects, one on each line, and return how many there were."""
    count = 0
    with archive.open(name, "w", force_zip64=True) as file:
        for each in objects:
            file.write(json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
            count += 1
    return count


def _picture_name(picture: bytes) -> str:
    for start, suffix in (b"\xff\xd8", "jpg"), (b"RIFF", "webp"):
        if picture.startswith(start):
            return f"picture.{suffix}"
    return "picture.png"


def _message(row: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the log as an object for people."""
    found: dict[str, Any] = {"seq": row["seq"], "kind": EntryKind(row["kind"]).name.lower()}
    found |= {"from": _text(row["sender_name"]), "to": _text(row["recipient"])}
    found |= {key: _value(key, row[key]) for key in ("id", "time", "room", "device", "reason", "expires") if row[key]}
    found |= {key: row[key] for key in ("place", "up_to") if row[key]}
    if row["kind"] <= EntryKind.SENT:
        found["state"] = MessageState(row["state"]).name.lower()
        headers = [line.partition(b": ") for line in bytes(row["headers"] or b"").splitlines()]
        found["headers"] = {_text(key): _text(value) for key, _, value in headers}
        found |= _body(bytes(row["body"] or b""))
    return found


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _object(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _value(key, value) for key, value in row.items()}


def _value(key: str, value: Any) -> Any:
    """Return the value of a column as JSON has it."""
    if key in _TIMES:
        return _time(value) if value else None
    if key == "disabled":
        return _time(value) if value else False
    if key in _FLAGS:
        return bool(value)
    if key == "role" and isinstance(value, int):
        return RoomRole(value).name.lower()
    return _text(value) if isinstance(value, bytes) else value


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
