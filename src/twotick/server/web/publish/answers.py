"""The answers to requests to publish, in the format of each request, and why one is refused."""

import json
import time
from os import EX_NOPERM, EX_NOUSER, EX_SOFTWARE, EX_TEMPFAIL, EX_UNAVAILABLE
from typing import Any, Final

from twotick.server.web.publish.publication import Publication, digest
from twotick.server.web.publish.request import Wanted
from twotick.server.web.publish.session import STATES, SendOutcome
from twotick.server.web.site import SECURITY, WebAnswer

_REFUSED: Final = 79
_UNREAD: Final = 80
"""What `twotick send` exits with beside the standard statuses (docs/shell.md)."""

RETRY: Final = 10
"""Seconds after which a program is asked to try again what is impossible now."""

_KEPT: Final = 400 * 86400
"""Seconds for which messages are kept, as clients of ntfy are told."""


class NotPublished(Exception):
    """A request is not carried out.

    Attributes:
        status: the status of the answer.
        code: what `twotick send` would exit with.
        retry_after: the seconds after which it may be tried again; 0 for never.
    """

    def __init__(self, status: int, reason: str, code: int = EX_UNAVAILABLE, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.retry_after = retry_after


def failure_of(answer: SendOutcome) -> NotPublished:
    """Return why a message was not sent: what may be possible soon has 503, because programs try that again."""
    reason = answer.reason
    if answer.code in (104, 108):
        return NotPublished(401, reason, EX_NOPERM)
    if answer.code == 105:
        return NotPublished(503, reason, EX_UNAVAILABLE, answer.retry_after or RETRY)
    if reason.endswith("is not connected") or reason.startswith("there is no such"):
        return NotPublished(404, reason, EX_NOUSER)
    if "may not send to" in reason or "takes no messages" in reason:
        return NotPublished(403, reason, EX_NOPERM)
    if reason in ("refused", "the recipient refused the message"):
        return NotPublished(409, reason, _REFUSED)
    if reason.endswith("is disabled, and cannot get messages"):
        return NotPublished(409, reason)
    return NotPublished(503, reason, EX_UNAVAILABLE, answer.retry_after or RETRY)


def mistake() -> NotPublished:
    """Return why a request is not carried out because of a defect, which the log has: no program is left waiting."""
    return NotPublished(503, "the server made a mistake, which is in its log", EX_SOFTWARE, RETRY)


def refusal(refused: NotPublished) -> WebAnswer:
    """Return the answer to a request that is not carried out (rule 22.6)."""
    content = {"http": refused.status, "error": str(refused), "exit": refused.code}
    extra = [("Retry-After", str(refused.retry_after))] if refused.retry_after else []
    if refused.status == 401:
        extra.append(("WWW-Authenticate", 'Bearer realm="twotick"'))
    return json_answer(refused.status, content, extra)


def success(
    wanted: Wanted,
    recipient: str,
    identifier: str,
    answer: SendOutcome,
    until: str,
    attachment: dict[str, Any] | None,
) -> WebAnswer:
    """Return the answer in the format of the request; with `until`, what became of the message."""
    is_reached = not until or STATES.index(answer.state) >= STATES.index(until)
    status = 200 if is_reached else 202
    if wanted.style == "slack" and not until:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), *SECURITY]
        return WebAnswer(200, headers, b"ok")
    content = content_of(wanted.style, wanted.publication, recipient, identifier, int(time.time()))
    if attachment is not None:
        content |= {"message": content["message"] or f"file: {attachment['name']}", "attachment": attachment}
    if until:
        code = 0 if is_reached else _UNREAD if answer.state == "delivered" else EX_TEMPFAIL
        content |= {"state": answer.state, "exit": code}
    return json_answer(status, content)


def content_of(style: str, publication: Publication, recipient: str, identifier: str, now: int) -> dict[str, Any]:
    """Return what is answered about a message, in the format of the request.

    Args:
        style: the format.
        publication: what is published.
        recipient: to whom.
        identifier: the Id of the message.
        now: when it is sent, in seconds since 1970.
    """
    if style == "gotify":
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        number = int(digest(identifier)[:7], 16)
        content = {"id": number, "appid": 1, "message": publication.text, "title": publication.title}
        return {**content, "priority": publication.priority, "date": date}
    if style == "ntfy":
        more = {"title": publication.title} if publication.title else {}
        topic = recipient.removeprefix("#")
        found = {"id": identifier, "time": now, "expires": now + _KEPT, "event": "message", "topic": topic}
        return {**found, **more, "message": publication.text, "priority": publication.priority}
    return {"status": "ok", "id": identifier, "recipient": recipient}


def json_answer(status: int, content: dict[str, Any], extra: list[tuple[str, str]] | None = None) -> WebAnswer:
    """Return an answer in JSON; `extra` are headers of its own."""
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *SECURITY, *(extra or [])]
    return WebAnswer(status, headers, json.dumps(content).encode() + b"\n")
