"""Requests to publish: who asks, what the path and the body say, and in which format (docs/protocol.md, section 22)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from twotick.server.web.gate import Visitor
from twotick.server.web.publish import alerts, forges, ntfy, slack
from twotick.server.web.publish.publication import Publication, Unreadable, read_form, read_object

_TRIGGERS: Final = ("publish", "send", "trigger")
"""The last words of paths by which ntfy publishes with GET."""

_TOKEN: Final = "tt_"  # noqa: S105  # no secret
"""How tokens begin."""

_WHOLE: Final = ("payload", "data")
"""Fields of forms that have all as JSON: those of Slack, GitHub and others, and that of Uptime Kuma."""

_BOUNDARY: Final = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_FIELD: Final = re.compile(
    rb'^content-disposition:[^\r\n]*[; ]name=(?:"([^"\r\n]+)"|([^\s;"]+))', re.IGNORECASE | re.MULTILINE
)
_MOST_PARTS: Final = 200
_LONGEST_HEAD: Final = 1024
"""The bytes of the longest head of a part."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request.

    Attributes:
        method: its method.
        target: its target.
        headers: its headers, by their names in lower case.
        visitor: who sent it.
    """

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    visitor: Visitor

    @property
    def may_bring_file(self) -> bool:
        """Whether its body may be a file."""
        return may_bring_file(self.method, self.target)


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A request to publish.

    Attributes:
        method: its method.
        path: the parts of its path.
        query: its parameters.
        headers: its headers, by their names in lower case.
        body: its body; the beginning of it, if it is a file that waits elsewhere.
        is_file: whether the body is a file in any case.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for.

    Attributes:
        style: the format of the answer: ntfy, slack, gotify or hook.
        publication: what is published.
        recipient: the recipient that the path names; empty for none.
    """

    style: str
    publication: Publication
    recipient: str = ""


def is_publishing(method: str, target: str) -> bool:
    """Tell whether a request wants to publish; all others are for the page."""
    if method in ("POST", "PUT"):
        return True
    parts = target.partition("?")[0].split("/")
    return (
        len(parts) == 3
        and not parts[0]
        and ((method == "GET" and parts[2] in _TRIGGERS) or (method == "DELETE" and all(parts[1:])))
    )


def may_bring_file(method: str, target: str) -> bool:
    """Tell whether the body of a request to publish may be a file: one to a recipient, as ntfy has it."""
    parts = [part for part in target.partition("?")[0].split("/") if part]
    return method in ("POST", "PUT") and len(parts) == 1 and parts[0] not in ("hooks", "message")


def parse(head: RequestHead, body: bytes) -> PublishRequest:
    """Return a request with its path and parameters taken apart.

    Raises:
        Unreadable: the parameters are malformed, or the body is a part of what is to be published.
    """
    if b"content-range" in head.headers:
        raise Unreadable("the body comes whole: leave out Content-Range")
    path, _, query = head.target.partition("?")
    parts = tuple(unquote(part, errors="replace") for part in path.split("/") if part)
    return PublishRequest(head.method, parts, read_form(query), head.headers, body)


def token_of(request: PublishRequest) -> tuple[str, bool]:
    """Return the token of a request, and whether it is a part of the path; empty if there is none.

    Basic takes the token as the password, or as the name if there is no password.
    """
    if len(request.path) > 1 and request.path[0] == "hooks" and request.path[1].startswith(_TOKEN):
        return request.path[1], True
    given = request.headers.get(b"authorization", b"").decode("latin-1") or _auth_parameter(request.query)
    scheme, _, credential = given.strip().partition(" ")
    if scheme.lower() == "bearer":
        return credential.strip(), False
    if scheme.lower() == "basic":
        return _password(credential.strip()), False
    if scheme.startswith(_TOKEN):
        return scheme, False
    for name in (b"x-gotify-key", b"x-gitlab-token"):
        if name in request.headers:
            return request.headers[name].decode("latin-1"), False
    return request.query.get("token", ""), False


def _auth_parameter(query: Mapping[str, str]) -> str:
    """Return what ntfy's parameter `auth` stands for: an Authorization in base64, or a token as it is."""
    value = query.get("auth", "")
    if value.startswith(_TOKEN):
        return value
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""


def _password(credential: str) -> str:
    try:
        name, _, password = base64.b64decode(credential, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return password or name


def read(request: PublishRequest, token: str, *, token_in_path: bool) -> Wanted | None:
    """Return what a request asks for; None if there is nothing at its path.

    Raises:
        Unreadable: it cannot be understood.
    """
    path = request.path
    if path and path[0] == "hooks":
        recipient = path[1 + token_in_path :]
        if len(recipient) > 1:
            return None
        return replace(_read_hook(request, token), recipient="".join(recipient))
    if not path:
        publication = ntfy.read_json(request.body, request.headers, request.query)
        return Wanted("ntfy", publication)
    if path[-1] == "message" and len(path) <= 2:
        return Wanted("gotify", slack.read_gotify(_fields(request)), path[0] if len(path) == 2 else "")
    if len(path) == 1 or (len(path) == 2 and path[1] in _TRIGGERS):
        publication = ntfy.read_raw(request.body, request.headers, request.query, is_file=request.is_file)
        return Wanted("ntfy", publication, path[0])
    return None


def _read_hook(request: PublishRequest, token: str) -> Wanted:
    """Return what a web hook publishes; its headers and its content tell the format."""
    forge = forges.forge_of(request.headers)
    if forge and not forges.is_signed(forge, request.body, request.headers, token):
        raise Unreadable("the signature is wrong: set the secret of the web hook to the token of the bot")
    content = _fields(request)
    if forge:
        return Wanted("hook", forges.read_event(forge, content, request.headers))
    if "alerts" in content:
        return Wanted("hook", alerts.read_alerts(content))
    if any(content.get(name) for name in ("text", "attachments", "blocks")):
        return Wanted("slack", slack.read_slack(content))
    return Wanted("hook", slack.read_other(content))


def _fields(request: PublishRequest) -> Mapping[str, Any]:
    """Return the fields of a body: JSON, a form, or JSON in a field of a form.

    Raises:
        Unreadable: it is none of these.
    """
    kind = request.headers.get(b"content-type", b"").decode("latin-1").lower()
    if kind.startswith("application/x-www-form-urlencoded") and not request.body.lstrip().startswith(b"{"):
        fields = read_form(request.body.decode("utf-8", "replace"))
    elif kind.startswith("multipart/form-data"):
        fields = _multipart(request.headers[b"content-type"], request.body)
    else:
        return read_object(request.body)
    whole = next((fields[name] for name in _WHOLE if fields.get(name, "").startswith("{")), None)
    return fields if whole is None else read_object(whole.encode())


def _multipart(kind: bytes, body: bytes) -> dict[str, str]:
    """Return the fields of a form with several parts (RFC 7578); of those that come again, the first.

    The parser of the standard library is for e-mail: parts within parts keep it busy for minutes.

    Raises:
        Unreadable: it has none, or too many.
    """
    boundary = _BOUNDARY.search(kind)
    parts = (b"\r\n" + body).split(b"\r\n--" + (boundary[1] or boundary[2]), _MOST_PARTS + 1)[1:] if boundary else []
    if len(parts) > _MOST_PARTS:
        raise Unreadable("the form has too many parts")
    fields: dict[str, str] = {}
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head) if len(head) <= _LONGEST_HEAD else None
        if name is not None:
            fields.setdefault((name[1] or name[2]).decode("utf-8", "replace"), content.decode("utf-8", "replace"))
    if not fields:
        raise Unreadable("the form has no fields")
    return fields
