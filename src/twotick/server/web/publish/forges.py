"""The events of GitHub, Gitea (and Forgejo) and GitLab."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from twotick.server.web.publish.publication import Publication, object_in, objects_in, one_line, text_in

_SUBJECTS: Final = (
    "pull_request",
    "issue",
    "release",
    "workflow_run",
    "check_run",
    "check_suite",
    "discussion",
    "deployment_status",
    "comment",
    "review",
)
"""Where an event has what it is about, the first of these that there is."""

_COMMITS: Final = 5


def forge_of(headers: Mapping[bytes, bytes]) -> str:
    """Return from which of them a request comes; empty if from none."""
    for name in ("gitea", "github", "gitlab"):
        if f"x-{name}-event".encode() in headers:
            return name
    return ""


def is_signed(forge: str, body: bytes, headers: Mapping[bytes, bytes], token: str) -> bool:
    """Tell whether an event has the signature, or for GitLab the token, that only its sender can give it.

    Args:
        forge: where it comes from.
        body: the body.
        headers: the headers.
        token: the token of the bot, which is the secret of the web hook.
    """
    if forge == "gitlab":
        return hmac.compare_digest(headers.get(b"x-gitlab-token", b""), token.encode())
    given = headers.get(b"x-hub-signature-256", b"").removeprefix(b"sha256=") or headers.get(b"x-gitea-signature", b"")
    expected = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(given, expected.encode())


def read_event(forge: str, content: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Publication:
    """Return an event of GitHub, Gitea or GitLab.

    Raises:
        Unreadable: it cannot be understood.
    """
    event = headers[f"x-{forge}-event".encode()].decode("latin-1")
    if forge == "gitlab":
        identifier = headers.get(b"idempotency-key") or headers.get(b"x-gitlab-event-uuid", b"")
        title, text, link = _gitlab(content, event.removesuffix(" Hook").lower())
    else:
        identifier = headers.get(f"x-{forge}-delivery".encode(), b"")
        title, text, link = _github(content, event.replace("_", " "))
    return Publication(text, title=title, links=(one_line(link),) if link else (), key=identifier.decode("latin-1"))


def _github(content: Mapping[str, Any], event: str) -> tuple[str, str, str]:
    """Return the title, the text and the link."""
    place = text_in(object_in(content, "repository"), "full_name") or text_in(
        object_in(content, "organization"), "login"
    )
    who = text_in(object_in(content, "sender"), "login") or "someone"
    if event == "ping":
        return place, f"the web hook works: {text_in(content, 'zen')}".removesuffix(": "), ""
    if event == "push":
        return place, _push(content, who), text_in(content, "compare", "compare_url")
    about: dict[str, Any] = {}
    for name in _SUBJECTS:
        about = object_in(content, name)
        if about:
            break
    action = text_in(content, "action").replace("_", " ")
    outcome = text_in(about, "conclusion", "state") if event.startswith(("work", "check", "dep")) else ""
    number = text_in(about, "number")
    words = [who, action or "did", event, f"#{number}" if number else "", outcome]
    head = " ".join(word for word in words if word)
    subject = text_in(about, "title", "name")
    return place, ": ".join(part for part in (head, subject) if part), text_in(about, "html_url")


def _push(content: Mapping[str, Any], who: str) -> str:
    commits = objects_in(content, "commits")
    branch = text_in(content, "ref").removeprefix("refs/heads/")
    lines = [f"{who} pushed {len(commits)} commit{'s' if len(commits) != 1 else ''} to {branch}"]
    lines += [
        f"{text_in(each, 'id')[:7]} {text_in(each, 'message').partition(chr(10))[0]}" for each in commits[:_COMMITS]
    ]
    return "\n".join(lines)


def _gitlab(content: Mapping[str, Any], event: str) -> tuple[str, str, str]:
    """Return the title, the text and the link."""
    place = text_in(object_in(content, "project"), "path_with_namespace")
    user = content.get("user")
    who = text_in(object_in(content, "user"), "username", "name") if isinstance(user, dict) else ""
    who = who or text_in(content, "user_username", "user_name") or "someone"
    if event in ("push", "tag push"):
        return place, _push(content, who), text_in(object_in(content, "project"), "web_url")
    about = object_in(content, "object_attributes")
    words = [who, text_in(about, "action", "status"), event, f"!{text_in(about, 'iid')}" if about.get("iid") else ""]
    head = " ".join(word for word in words if word)
    subject = text_in(about, "title", "note", "ref")
    return place, ": ".join(part for part in (head, subject) if part), text_in(about, "url")
