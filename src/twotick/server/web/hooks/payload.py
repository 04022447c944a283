"""What is posted to a hook, and what its answer says. No sockets and no clock."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final, cast
from urllib.parse import urlsplit

from twotick.exchange import Endpoint, InvalidEndpoint, parse_endpoint
from twotick.wire import Head

_LONGEST_ANSWER: Final = 16 << 10
"""The most characters of an answer that is sent."""

_HTTP: Final = "http://"


def parse_hook_url(url: str, *, allow_local: bool) -> Endpoint:
    """Return where to post.

    Args:
        url: the URL; without encryption only where private addresses are allowed.
        allow_local: whether it may be on this machine or in a private network.

    Raises:
        InvalidEndpoint: the server does not post there; the text says why.
    """
    plain = allow_local and url.lower().startswith(_HTTP)
    try:
        found = parse_endpoint("https://" + url[len(_HTTP) :] if plain else url, allow_local=allow_local)
    except InvalidEndpoint as error:
        raise InvalidEndpoint(str(error).replace("Endpoint", "the URL of a hook")) from error
    if not plain:
        return found
    given = urlsplit(url).port
    port = given or 80
    host = f"[{found.host}]" if ":" in found.host else found.host
    return Endpoint(found.host, port, found.target, f"{_HTTP}{host}" + ("" if given is None else f":{port}"))


def message_id(member: str, head: Head, seq: int) -> str:
    """Return what names a message for good, so that a hook can tell that it is the same."""
    told = (member.lower().encode(), head.key, head.headers.get(b"to", b""), head.id or b"%d" % seq)
    time = b"" if head.id else head.headers.get(b"time", b"")
    guest = [b"guest"] if b"guest" in head.headers else []  # a member may have the name by now, and use the Id
    return hashlib.sha256(b"\n".join((*told, time, *guest))).hexdigest()[:32]


def payload(member: str, head: Head, body: bytes, seq: int, ident: str) -> bytes:
    """Return what is posted for a message, as JSON."""
    headers = {name.decode("latin-1"): value.decode(errors="replace") for name, value in head.headers.items()}
    content: dict[str, object] = {"id": ident, "seq": seq, "bot": member, "from": head.name.decode()}
    content["to"] = headers.get("to", member)
    if "guest" in headers:
        content["guest"] = True
    if "accepted" in headers:  # rather than when its sender says that it was written
        headers["time"] = headers["accepted"]
    names = {"time": "time", "reply-to": "reply_to", "thread": "thread", "file-name": "file", "content-type": "type"}
    content |= {told: headers[name] for name, told in names.items() if name in headers}
    content |= {name: value for name, value in headers.items() if name.startswith("x-")}
    try:
        content["text"] = body.decode()
    except UnicodeDecodeError:
        content["base64"] = base64.b64encode(body).decode()
    return json.dumps(content, ensure_ascii=False).encode()


def signed(secret: bytes, body: bytes, ident: str, now: float) -> list[tuple[str, str]]:
    """Return the headers of a post."""
    time = str(int(now))
    signature = hmac.new(secret, f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "Twotick"),
        ("X-Twotick-Id", ident),
        ("X-Twotick-Timestamp", time),
        ("X-Twotick-Signature", f"sha256={signature}"),
    ]


def answer_of(content_type: str, body: bytes) -> str:
    """Return the text that the answer of a hook asks to send; empty for none."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/plain":
        text = body.decode(errors="replace")
    elif kind == "application/json":
        try:
            found: object = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        said = cast(dict[str, Any], found).get("text") if isinstance(found, dict) else None
        text = said if isinstance(said, str) else ""
    else:
        return ""
    return text.strip().encode(errors="replace").decode()[:_LONGEST_ANSWER]
