"""What subscribers get: messages as ntfy has them, in each format. No sockets and no clock."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from twotick.server.web.frames import TEXT, frame
from twotick.server.web.publish.file_names import file_type
from twotick.server.web.publish.publication import Publication
from twotick.server.web.site import SECURITY
from twotick.wire import Head, read_number

_NO_MESSAGES: Final = (b"deletes", b"reacts-to", b"pins", b"unpins", b"event", b"deleted")
"""Headers of what is no message: changes and events, and what is left of a message that was deleted."""

_KEPT: Final = 400 * 86400
"""Seconds for which messages are kept."""

_TYPES: Final = {
    "json": "application/x-ndjson; charset=utf-8",
    "sse": "text/event-stream; charset=utf-8",
    "raw": "text/plain; charset=utf-8",
}


def stream_head(form: str, accept: str, *, is_chunked: bool) -> bytes:
    """Return the head of the answer to a subscription; what follows lasts until the connection is closed.

    Args:
        form: the format.
        accept: the answer to the key of a WebSocket.
        is_chunked: whether what follows comes in chunks.
    """
    if form == "ws":
        start = "HTTP/1.1 101 Switching Protocols"
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    else:
        start = "HTTP/1.1 200 OK"
        headers = [
            ("Content-Type", _TYPES[form]),
            ("Connection", "close"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),  # nginx would keep the messages back
            ("Access-Control-Allow-Origin", "*"),  # the token is what lets a page of another server in
            *([("Transfer-Encoding", "chunked")] if is_chunked else []),
        ]
    lines = [start, *(f"{name}: {value}" for name, value in (*headers, *SECURITY))]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def event(kind: str, topic: str, identifier: str, now: float) -> dict[str, Any]:
    """Return an event that is no message: `open` or `keepalive`."""
    return {"id": identifier, "time": int(now), "event": kind, "topic": topic}


def packed(form: str, content: dict[str, Any]) -> bytes:
    """Return an event or a message in a format."""
    if form == "raw":
        return " ".join(content.get("message", "").splitlines()).encode() + b"\n"
    text = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    if form == "ws":
        return frame(TEXT, text)
    if form == "json":
        return text + b"\n"
    name = content["event"]
    line = f"id: {content['id']}" if name == "message" else f"event: {name}"  # a browser that comes back gives the id
    return b"%b\ndata: %b\n\n" % (line.encode(), text)


def position(head: Head) -> tuple[str, int]:
    """Return the series that a message belongs to, and its number in it: a room and Place, or the bot's log and Seq.

    Together they are the `id`, which is the same whenever the message comes. Earlier messages of a room have no Seq.
    """
    place = read_number(head.headers.get(b"place", b""))
    if place:
        room = hashlib.sha256(head.headers.get(b"to", b"").lower()).hexdigest()[:8]
        return f"r{room}-", place
    return "m", read_number(head.seq) or 0


def message(head: Head, body: bytes, topics: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a message as ntfy has it; None if it is none, or if it is in no conversation that was asked for.

    Args:
        head: the head of its FORWARD.
        body: its body.
        topics: the conversations, by their names in lower case, with what the subscriber calls them.
    """
    headers = head.headers
    place = headers.get(b"to", head.name).decode("latin-1").lower()
    if place not in topics or any(name in headers for name in _NO_MESSAGES):
        return None

    def word(name: bytes) -> str:
        return headers.get(name, b"").decode("utf-8", "replace")

    time = _time(word(b"accepted") or word(b"time"))
    series, number = position(head)
    found: dict[str, Any] = {"id": f"{series}{number}", "time": time, "expires": time + _KEPT, "event": "message"}
    found |= {"topic": topics[place], "from": head.name.decode("latin-1")}
    if b"guest" in headers:
        found["guest"] = True
    if sequence := word(b"edits") or head.id.decode("latin-1"):
        found["sequence_id"] = sequence
    if title := word(b"x-title"):
        found["title"] = title
    priority = word(b"x-priority")
    if priority in ("1", "2", "3", "4", "5"):
        found["priority"] = int(priority)
    tags = [tag for tag in word(b"x-tags").split(",") if tag]
    if tags:
        found["tags"] = tags
    if click := word(b"x-click"):
        found["click"] = click
    if name := word(b"file-name"):
        size = read_number(headers.get(b"file-size", b"")) or 0
        found["attachment"] = {"name": name, "type": file_type(name), "size": size}
    try:
        text = _without_marks(body.decode(), found)
    except UnicodeDecodeError:
        return {**found, "message": base64.b64encode(body).decode(), "encoding": "base64"}
    found["message"] = "\n".join(part for part in (text, f"file: {name}" if name else "") if part)
    return found


def _without_marks(text: str, found: Mapping[str, Any]) -> str:
    """Return a text without what publishing has put around it for people (`Publication.body`)."""
    links = (found["click"],) if "click" in found else ()
    tags = tuple(found.get("tags", ()))
    mark = "\0"
    around = Publication(mark, found.get("title", ""), found.get("priority", 3), tags, links).body()
    before, _, after = around.partition(mark)
    if len(text) < len(before) + len(after) or not (text.startswith(before) and text.endswith(after)):
        return text
    return text[len(before) : len(text) - len(after)]


def _time(text: str) -> int:
    """Return a time in seconds since 1970; 0 if it is malformed, as the sender may have written it."""
    try:
        return max(0, int(datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError, OSError):
        return 0
