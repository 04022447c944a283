"""The events of GitHub, Gitea (and Forgejo) and GitLab."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from twotick.server.web.publish.publication import (
    Publication,
    number_in,
    object_in,
    objects_in,
    one_line,
    text_in,
)

_SUBJECTS: Final = (
    "pull_request",
    "issue",
    "release",
    "workflow_run",
    "workflow_job",
    "check_run",
    "check_suite",
    "discussion",
    "deployment_status",
    "comment",
    "review",
)
"""Where an event has what it is about, the first of these that there is."""

_SAID: Final = ("comment", "review")
"""Where it has what was said about that."""

_ACTS: Final = {
    "open": "opened",
    "close": "closed",
    "reopen": "reopened",
    "update": "updated",
    "merge": "merged",
    "create": "created",
    "delete": "deleted",
    "approval": "approved",
    "unapproval": "withdrew the approval of",
    "unapproved": "withdrew the approval of",
}
"""What GitLab calls acts, as they are shown."""

_NOTHING: Final = "0" * 40
"""The hash of a branch or tag that is not there."""

_COMMITS: Final = 5
_MANY: Final = 1_000_000_000


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
    text = text.replace("\r\n", "\n").strip()
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
    if event == "status":
        text = ": ".join(_texts(f"{text_in(content, 'context')} {text_in(content, 'state')}", content, "description"))
        return place, text, text_in(content, "target_url")
    if event in ("create", "delete"):
        return place, f"{who} {event}d {text_in(content, 'ref_type')} {text_in(content, 'ref')}", ""
    about, said = _first_of(content, _SUBJECTS), _first_of(content, _SAID)
    action = text_in(content, "action").replace("_", " ")
    if action == "closed" and about.get("merged") is True:
        action = "merged"
    outcome = text_in(about, "conclusion", "state") if event.startswith(("work", "check", "dep")) else ""
    outcome = outcome or text_in(object_in(content, "review"), "state").replace("_", " ")
    number = text_in(about, "number")
    words = [who, action or "did", event, f"#{number}" if number else "", outcome]
    head = " ".join(word for word in words if word)
    text = ": ".join(_texts(head, about, "title", "name", "tag_name"))
    link = text_in(said, "html_url") or text_in(about, "html_url", "target_url")
    return place, "\n".join(_texts(text, said, "body", "content")), link


def _first_of(content: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the first of some fields that is there; an empty object if none is."""
    for name in names:
        if found := object_in(content, name):
            return found
    return {}


def _texts(text: str, content: Mapping[str, Any], *names: str) -> list[str]:
    """Return a text, and the first of some fields that has one."""
    return [each for each in (text, text_in(content, *names)) if each]


def _push(content: Mapping[str, Any], who: str) -> str:
    ref = text_in(content, "ref")
    branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    if content.get("deleted") is True or text_in(content, "after") == _NOTHING:
        return f"{who} deleted {kind} {branch}"
    if kind == "tag":
        return f"{who} pushed tag {branch}"
    commits = objects_in(content, "commits")
    count = max(len(commits), number_in(content, "total_commits_count", 0, _MANY, 0))
    count = max(count, number_in(content, "total_commits", 0, _MANY, 0))
    forced = " by force" if content.get("forced") is True else ""
    lines = [f"{who} pushed {count} commit{'s' if count != 1 else ''} to {branch}{forced}"]
    lines += [
        f"{text_in(each, 'id')[:7]} {text_in(each, 'message').partition(chr(10))[0]}" for each in commits[:_COMMITS]
    ]
    return "\n".join([*lines, *([f"and {count - _COMMITS} more"] if count > _COMMITS else [])])


def _gitlab(content: Mapping[str, Any], event: str) -> tuple[str, str, str]:
    """Return the title, the text and the link."""
    project = object_in(content, "project")
    place = text_in(project, "path_with_namespace") or text_in(content, "project_name")
    user = content.get("user")
    who = text_in(object_in(content, "user"), "username", "name") if isinstance(user, dict) else ""
    who = who or text_in(content, "user_username", "user_name") or "someone"
    event = event.removeprefix("confidential ")
    if event in ("push", "tag push"):
        return place, _push(content, who), text_in(project, "web_url")
    about = object_in(content, "object_attributes")
    if event == "note":
        return place, _note(content, about, who), text_in(about, "url")
    if event == "pipeline":
        number = text_in(about, "id")
        text = f"pipeline #{number} for {text_in(about, 'ref')}: {text_in(about, 'status')} (by {who})"
        page = text_in(project, "web_url")
        return place, text, text_in(about, "url") or (f"{page}/-/pipelines/{number}" if page else "")
    if event == "job":
        text = f"job {text_in(content, 'build_name')} for {text_in(content, 'ref')}: {text_in(content, 'build_status')}"
        page = text_in(project, "web_url") or text_in(object_in(content, "repository"), "homepage")
        return place, f"{text} (by {who})", f"{page}/-/jobs/{text_in(content, 'build_id')}" if page else ""
    if event == "deployment":
        text = f"deployment to {text_in(content, 'environment')}: {text_in(content, 'status')} (by {who})"
        return place, text, text_in(content, "deployable_url")
    act = text_in(about, "action", "status") or text_in(content, "action")
    if event == "release":
        text = ": ".join(_texts(f"release {_ACTS.get(act, act)}", content, "name", "tag"))
        return place, text, text_in(content, "url")
    number, sign = text_in(about, "iid"), "!" if event == "merge request" else "#"
    words = [who, _ACTS.get(act, act), event, f"{sign}{number}" if number else ""]
    head = " ".join(word for word in words if word)
    return place, ": ".join(_texts(head, about, "title", "ref", "name")), text_in(about, "url")


def _note(content: Mapping[str, Any], about: Mapping[str, Any], who: str) -> str:
    """Return what a comment of GitLab says, and about what."""
    for name, kind, sign in (
        ("merge_request", "merge request", "!"),
        ("issue", "issue", "#"),
        ("snippet", "snippet", ""),
    ):
        found = object_in(content, name)
        if found:
            number = text_in(found, "iid") or text_in(found, "id")
            head = f"{who} commented on {kind} {sign}{number}"
            return "\n".join(_texts(": ".join(_texts(head, found, "title")), about, "note"))
    commit = object_in(content, "commit")
    head = f"{who} commented on commit {text_in(commit, 'id')[:7]}" if commit else f"{who} commented"
    return "\n".join(_texts(head, about, "note"))
