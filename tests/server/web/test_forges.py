"""Events of GitHub, Gitea and GitLab, alerts of Grafana, and the requests of Uptime Kuma, with all that these send.

The payloads are made up; their fields are those that the documentation of each program lists.
"""

import hashlib
import hmac
import json
from collections.abc import Generator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server.web import publishing
from tests.server.web.publishing import Program
from tests.sockets import serving
from twotick.server import ServerLimits


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    data = tmp_path_factory.mktemp("forges") / "data"
    tokens = publishing.prepare(data)
    with serving(ServerLimits(), web=True, data=str(data)) as server:
        yield Program(server, data, tokens)


NONE = "0" * 40
ANN: dict[str, Any] = {
    "login": "ann",
    "id": 1,
    "type": "User",
    "html_url": "https://git.example/ann",
    "avatar_url": "",
    "email": "",
}
REPOSITORY: dict[str, Any] = {
    "id": 7,
    "name": "shop",
    "full_name": "acme/shop",
    "private": False,
    "owner": {**ANN, "login": "acme"},
    "html_url": "https://git.example/acme/shop",
    "description": None,
    "fork": False,
    "default_branch": "main",
    "topics": [],
}
COMMON: dict[str, Any] = {
    "repository": REPOSITORY,
    "sender": ANN,
    "organization": None,
    "installation": {"id": 3},
    "enterprise": None,
}
PERSON = {"name": "Ann", "email": "ann@example.org", "username": "ann"}


def commit(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:x}" * 40,
        "tree_id": "f" * 40,
        "message": f"Change {number}\n\nBecause of that.",
        "timestamp": "2026-11-29T09:00:00Z",
        "title": f"Change {number}",
        "url": f"https://git.example/acme/shop/commit/{number}",
        "author": PERSON,
        "committer": PERSON,
        "distinct": True,
        "added": [],
        "removed": [],
        "modified": ["README.md"],
        "verification": None,
    }


PUSH: dict[str, Any] = {
    **COMMON,
    "ref": "refs/heads/main",
    "before": "a" * 40,
    "after": "1" * 40,
    "base_ref": None,
    "created": False,
    "deleted": False,
    "forced": False,
    "compare": "https://git.example/acme/shop/compare/a...1",
    "commits": [commit(1), commit(2)],
    "head_commit": commit(2),
    "pusher": {"name": "ann", "email": None},
}
PULL: dict[str, Any] = {
    "id": 70,
    "number": 7,
    "state": "open",
    "title": "Mend it",
    "body": "It was broken.",
    "html_url": "https://git.example/acme/shop/pull/7",
    "user": ANN,
    "labels": [],
    "assignee": None,
    "milestone": None,
    "draft": False,
    "merged": False,
    "mergeable": None,
    "merged_by": None,
    "head": {"ref": "mend", "sha": "1" * 40, "repo": REPOSITORY},
    "base": {"ref": "main", "sha": "a" * 40, "repo": REPOSITORY},
}
ISSUE: dict[str, Any] = {
    "id": 60,
    "number": 6,
    "title": "It is broken",
    "state": "open",
    "state_reason": None,
    "body": None,
    "user": ANN,
    "labels": [{"name": "bug", "color": "ff0000"}],
    "assignees": [],
    "html_url": "https://git.example/acme/shop/issues/6",
}
COMMENT: dict[str, Any] = {
    "id": 61,
    "body": "Me too\r\n",
    "user": ANN,
    "html_url": "https://git.example/acme/shop/issues/6#c61",
    "author_association": "NONE",
    "reactions": {"total_count": 0},
}
RELEASE: dict[str, Any] = {
    "id": 50,
    "tag_name": "v1.0",
    "name": None,
    "body": "All new.",
    "draft": False,
    "prerelease": False,
    "author": ANN,
    "assets": [],
    "html_url": "https://git.example/acme/shop/releases/v1.0",
}
RUN: dict[str, Any] = {
    "id": 40,
    "name": "tests",
    "display_title": "Change 2",
    "head_branch": "main",
    "run_number": 12,
    "event": "push",
    "status": "completed",
    "conclusion": "failure",
    "workflow_id": 4,
    "actor": ANN,
    "html_url": "https://git.example/acme/shop/actions/runs/40",
}
HEAD = "*acme/shop*\n"
LIKE_GITHUB: list[tuple[str, dict[str, Any], str]] = [
    (
        "push",
        PUSH,
        "ann pushed 2 commits to main\n1111111 Change 1\n2222222 Change 2\nhttps://git.example/acme/shop/compare/a...1",
    ),
    (
        "push",
        {**PUSH, "forced": True, "commits": [], "head_commit": None},
        "ann pushed 0 commits to main by force\nhttps://git.example/acme/shop/compare/a...1",
    ),
    (
        "push",
        {**PUSH, "ref": "refs/heads/old", "after": NONE, "deleted": True, "compare": ""},
        "ann deleted branch old",
    ),
    ("push", {**PUSH, "ref": "refs/tags/v1.0", "commits": [], "compare": ""}, "ann pushed tag v1.0"),
    (
        "pull_request",
        {**COMMON, "action": "opened", "number": 7, "pull_request": PULL},
        f"ann opened pull request #7: Mend it\n{PULL['html_url']}",
    ),
    (
        "pull_request",
        {**COMMON, "action": "closed", "number": 7, "pull_request": {**PULL, "merged": True, "merged_by": ANN}},
        f"ann merged pull request #7: Mend it\n{PULL['html_url']}",
    ),
    (
        "issues",
        {**COMMON, "action": "closed", "issue": ISSUE},
        f"ann closed issues #6: It is broken\n{ISSUE['html_url']}",
    ),
    (
        "issue_comment",
        {**COMMON, "action": "created", "issue": ISSUE, "comment": COMMENT, "is_pull": False},
        f"ann created issue comment #6: It is broken\nMe too\n{COMMENT['html_url']}",
    ),
    (
        "release",
        {**COMMON, "action": "published", "release": RELEASE},
        f"ann published release: v1.0\n{RELEASE['html_url']}",
    ),
    (
        "workflow_run",
        {**COMMON, "action": "completed", "workflow": {"id": 4, "name": "tests"}, "workflow_run": RUN},
        f"ann completed workflow run failure: tests\n{RUN['html_url']}",
    ),
    (
        "workflow_job",
        {**COMMON, "action": "completed", "workflow_job": {**RUN, "runner_name": None, "steps": []}},
        f"ann completed workflow job failure: tests\n{RUN['html_url']}",
    ),
    ("create", {**COMMON, "ref": "mend", "ref_type": "branch", "master_branch": "main"}, "ann created branch mend"),
    ("delete", {**COMMON, "ref": "v0", "ref_type": "tag", "pusher_type": "user"}, "ann deleted tag v0"),
]
GITHUB: list[tuple[str, dict[str, Any], str]] = [
    (
        "pull_request_review",
        {
            **COMMON,
            "action": "submitted",
            "pull_request": PULL,
            "review": {"id": 1, "user": ANN, "body": "Fine.", "state": "changes_requested", "html_url": "https://x/r1"},
        },
        "ann submitted pull request review #7 changes requested: Mend it\nFine.\nhttps://x/r1",
    ),
    (
        "commit_comment",
        {**COMMON, "action": "created", "comment": {**COMMENT, "commit_id": "1" * 40, "path": None, "line": None}},
        f"ann created commit comment\nMe too\n{COMMENT['html_url']}",
    ),
    (
        "status",
        {
            **COMMON,
            "id": 1,
            "sha": "1" * 40,
            "context": "ci",
            "state": "failure",
            "description": "2 failed",
            "target_url": "https://x/1",
            "branches": [],
        },
        "ci failure: 2 failed\nhttps://x/1",
    ),
    (
        "deployment_status",
        {
            **COMMON,
            "action": "created",
            "deployment": {"id": 1},
            "deployment_status": {"state": "success", "target_url": "https://x/2"},
        },
        "ann created deployment status success\nhttps://x/2",
    ),
    ("ping", {**COMMON, "zen": "Keep it simple.", "hook_id": 1, "hook": {}}, "the web hook works: Keep it simple."),
]
GITEA: list[tuple[str, dict[str, Any], str]] = [
    (
        "push",
        {
            **PUSH,
            "compare": None,
            "compare_url": "https://x/c",
            "commits": [commit(n) for n in range(1, 6)],
            "total_commits": 9,
            "secret": "",
        },
        "ann pushed 9 commits to main\n1111111 Change 1\n2222222 Change 2\n3333333 Change 3\n4444444 Change 4\n"
        "5555555 Change 5\nand 4 more\nhttps://x/c",
    ),
    (
        "pull_request_approved",
        {
            **COMMON,
            "action": "reviewed",
            "number": 7,
            "pull_request": PULL,
            "review": {"type": "pull_request_review_approved", "content": "Fine."},
        },
        f"ann reviewed pull request approved #7: Mend it\nFine.\n{PULL['html_url']}",
    ),
]
PROJECT: dict[str, Any] = {
    "id": 7,
    "name": "shop",
    "description": "",
    "web_url": "https://git.example/acme/shop",
    "avatar_url": None,
    "namespace": "acme",
    "visibility_level": 0,
    "path_with_namespace": "acme/shop",
    "default_branch": "main",
    "ci_config_path": None,
}
USER = {"id": 1, "name": "Ann", "username": "ann", "avatar_url": "", "email": "[REDACTED]"}
MINE: dict[str, Any] = {
    "user": USER,
    "project": PROJECT,
    "repository": {"name": "shop", "homepage": PROJECT["web_url"]},
}
MERGE: dict[str, Any] = {
    "id": 70,
    "iid": 7,
    "title": "Mend it",
    "description": None,
    "state": "opened",
    "merge_status": "unchecked",
    "draft": False,
    "source_branch": "mend",
    "target_branch": "main",
    "last_commit": commit(1),
    "url": "https://git.example/acme/shop/-/merge_requests/7",
    "action": "open",
}
NOTE: dict[str, Any] = {
    "id": 61,
    "note": "Me too",
    "noteable_type": "MergeRequest",
    "author_id": 1,
    "system": False,
    "url": "https://x/n",
    "action": "create",
}
GITLAB_PUSH: dict[str, Any] = {
    "object_kind": "push",
    "event_name": "push",
    "before": "a" * 40,
    "after": "1" * 40,
    "ref": "refs/heads/main",
    "ref_protected": True,
    "checkout_sha": "1" * 40,
    "message": None,
    "user_id": 1,
    "user_name": "Ann",
    "user_username": "ann",
    "project": PROJECT,
    "commits": [commit(n) for n in range(1, 8)],
    "total_commits_count": 30,
    "push_options": {},
}
GITLAB: list[tuple[str, dict[str, Any], str]] = [
    (
        "Push Hook",
        GITLAB_PUSH,
        "ann pushed 30 commits to main\n1111111 Change 1\n2222222 Change 2\n3333333 Change 3\n4444444 Change 4\n"
        "5555555 Change 5\nand 25 more\nhttps://git.example/acme/shop",
    ),
    (
        "Tag Push Hook",
        {**GITLAB_PUSH, "ref": "refs/tags/v1.0", "object_kind": "tag_push", "total_commits_count": 0},
        "ann pushed tag v1.0\nhttps://git.example/acme/shop",
    ),
    (
        "Push Hook",
        {**GITLAB_PUSH, "ref": "refs/heads/old", "after": NONE, "commits": []},
        "ann deleted branch old\nhttps://git.example/acme/shop",
    ),
    (
        "Merge Request Hook",
        {
            **MINE,
            "object_kind": "merge_request",
            "object_attributes": MERGE,
            "labels": [],
            "changes": {},
            "reviewers": [],
        },
        f"ann opened merge request !7: Mend it\n{MERGE['url']}",
    ),
    (
        "Confidential Issue Hook",
        {
            **MINE,
            "object_kind": "issue",
            "object_attributes": {**ISSUE, "iid": 6, "url": "https://x/6", "action": "close"},
            "assignees": [],
            "labels": [],
        },
        "ann closed issue #6: It is broken\nhttps://x/6",
    ),
    (
        "Note Hook",
        {**MINE, "object_kind": "note", "object_attributes": NOTE, "merge_request": MERGE},
        "ann commented on merge request !7: Mend it\nMe too\nhttps://x/n",
    ),
    (
        "Note Hook",
        {**MINE, "object_kind": "note", "object_attributes": {**NOTE, "noteable_type": "Commit"}, "commit": commit(2)},
        "ann commented on commit 2222222\nMe too\nhttps://x/n",
    ),
    (
        "Pipeline Hook",
        {
            **MINE,
            "object_kind": "pipeline",
            "object_attributes": {
                "id": 31,
                "iid": 3,
                "name": None,
                "ref": "main",
                "tag": False,
                "sha": "1" * 40,
                "source": "push",
                "status": "failed",
                "detailed_status": "failed",
                "stages": ["test"],
                "duration": 63,
                "variables": [],
            },
            "merge_request": None,
            "commit": commit(1),
            "builds": [{"id": 1, "stage": "test", "name": "unit", "status": "failed"}],
        },
        "pipeline #31 for main: failed (by ann)\nhttps://git.example/acme/shop/-/pipelines/31",
    ),
    (
        "Job Hook",
        {
            **MINE,
            "object_kind": "build",
            "ref": "main",
            "build_id": 19,
            "build_name": "unit",
            "build_stage": "test",
            "build_status": "failed",
            "build_failure_reason": "script_failure",
            "pipeline_id": 31,
            "project_name": "acme / shop",
            "commit": {"id": 31, "status": "failed"},
        },
        "job unit for main: failed (by ann)\nhttps://git.example/acme/shop/-/jobs/19",
    ),
    (
        "Release Hook",
        {
            "object_kind": "release",
            "id": 1,
            "project": PROJECT,
            "name": "1.0",
            "tag": "v1.0",
            "description": "",
            "url": "https://x/v1",
            "action": "create",
            "assets": {"count": 0},
            "commit": commit(1),
        },
        "release created: 1.0\nhttps://x/v1",
    ),
    (
        "Deployment Hook",
        {
            **MINE,
            "object_kind": "deployment",
            "status": "success",
            "environment": "live",
            "deployable_id": 9,
            "deployable_url": "https://x/9",
            "short_sha": "1111111",
        },
        "deployment to live: success (by ann)\nhttps://x/9",
    ),
]
EVENTS = [
    *[("github", *each) for each in LIKE_GITHUB + GITHUB],
    *[("gitea", *each) for each in LIKE_GITHUB + GITEA],
    *[("gitlab", *each) for each in GITLAB],
]


@pytest.mark.parametrize("forge", ["github", "gitea", "gitlab"])
def test_each_event_reads_well_and_only_with_its_signature(program: Program, forge: str) -> None:
    token = program.tokens["one"]
    before = len(program.entries())
    expected: list[str] = []
    for number, (_, event, content, text) in enumerate(each for each in EVENTS if each[0] == forge):
        body = json.dumps(content).encode()
        signature = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
        headers = {f"x_{forge}_event": event, f"x_{forge}_delivery": f"{forge}-{number}"}
        proof = {
            "github": ("x_hub_signature_256", f"sha256={signature}"),
            "gitea": ("x_gitea_signature", signature),
            "gitlab": ("x_gitlab_token", token),
        }[forge]
        if forge == "gitea":  # which also says what it would be at GitHub
            headers |= {"x_github_event": event, "x_gogs_event": event, "x_github_delivery": f"{forge}-{number}"}
        if forge == "gitlab":
            headers |= {"x_gitlab_event_uuid": f"u{number}", "x_gitlab_instance": "https://git.example"}
        for wrong in ({}, {proof[0]: f"sha256={'0' * 64}"}):
            assert program.ask(f"/hooks/{token}/bob", body, **headers, **wrong)[0] == 400, event
        status, _, answer = program.ask(f"/hooks/{token}/bob", body, **headers, **dict([proof]))
        assert status == 200, (event, answer)
        expected.append(HEAD + text)
    assert program.got()[before:] == expected


def grafana_alert(zone: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "status": state,
        "labels": {"alertname": "Memory", "team": "blue", "zone": zone, "grafana_folder": "Machines"},
        "annotations": {
            "summary": f"much memory in {zone}",
            "description": "more than 90 %",
            "runbook_url": "https://x/r",
        },
        "startsAt": "2026-11-29T09:51:03.157076+02:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://graf.example/alerting/grafana/a1/view",
        "fingerprint": f"f-{zone}",
        "silenceURL": f"https://graf.example/alerting/silence/new?matcher=zone%3D{zone}",
        "dashboardURL": "https://graf.example/d/d1",
        "panelURL": "https://graf.example/d/d1?viewPanel=2",
        "values": {"B": 94.23943, "C": 1},
        "valueString": "[ var='B' labels={} value=94.23943 ]",
        "orgId": 1,
        **more,
    }


def grafana(*alerts: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    return {
        "receiver": "chat",
        "status": status,
        "orgId": 1,
        "alerts": list(alerts),
        "groupLabels": {"alertname": "Memory"},
        "commonLabels": {"alertname": "Memory", "team": "blue"},
        "commonAnnotations": {},
        "externalURL": "https://graf.example/",
        "version": "1",
        "groupKey": '{}:{alertname="Memory"}',
        "truncatedAlerts": 0,
        "appVersion": "12.0.0",
        "title": f"[{status.upper()}:{len(alerts)}] Memory (blue)",
        "state": "alerting" if status == "firing" else "ok",
        "message": "**Firing**\n\nmuch text",
    }


def test_alerts_of_grafana_show_values_and_how_to_silence_them(program: Program) -> None:
    token = program.tokens["one"]
    firing = grafana(
        grafana_alert("eu", "firing", imageURL="https://graf.example/i.png"),
        grafana_alert("us", "firing", values=None, silenceURL="", panelURL="", dashboardURL=""),
        grafana_alert("asia", "resolved"),
    )
    for _ in range(2):
        assert program.post("/hooks/bob", firing, bot="one")[0] == 200
    assert program.post("/hooks/bob", firing)[0] == 401
    assert program.got()[-1] == (
        "\U0001f525 *[FIRING:3] Memory (blue)*\n"
        "firing: much memory in eu [B = 94.2394, C = 1]\n"
        "firing: much memory in us\n"
        "resolved: much memory in asia [B = 94.2394, C = 1]\n"
        "https://graf.example/d/d1?viewPanel=2\n"
        "https://graf.example/alerting/silence/new?matcher=zone%3Deu\n"
        "https://graf.example/i.png"
    )
    sent = program.entries()[-1]
    resolved = grafana(
        *(grafana_alert(zone, "resolved", endsAt="2026-11-29T10:00:00+02:00") for zone in ("eu", "us")),
        status="resolved",
    )
    assert program.post(f"/hooks/{token}/bob", resolved)[0] == 200
    assert b"Edits: %b\n" % sent.id in program.entries()[-1].headers
    assert program.got()[-1].startswith("\u2705 *[RESOLVED:2] Memory (blue)*\nresolved: much memory in eu")


def test_the_five_requests_of_uptime_kuma(program: Program) -> None:
    token, before = program.tokens["one"], len(program.entries())
    text = "[shop] [\U0001f534 Down] timeout"
    beat = {"heartbeat": {"status": 0, "msg": "timeout", "time": "2026-11-29 09:00:00"}, "monitor": {"name": "shop"}}
    ntfy: dict[str, Any] = {
        "topic": "bob",
        "message": text,
        "priority": 4,
        "title": "shop Down",
        "tags": ["red_circle"],
        "actions": [],
    }
    slack: dict[str, Any] = {
        "text": text,
        "channel": None,
        "username": "Kuma",
        "icon_emoji": None,
        "attachments": [
            {
                "color": "#e01e5a",
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "shop is down"}},
                    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Message*\ntimeout"}]},
                ],
            }
        ],
    }
    mattermost: dict[str, Any] = {
        "username": "Kuma",
        "channel": None,
        "icon_emoji": None,
        "icon_url": None,
        "attachments": [{"fallback": "down", "color": "#FF0000", "title": "shop", "text": "timeout", "fields": []}],
    }
    gotify = {"title": "shop Down", "message": text, "priority": 8}
    hook = {**beat, "msg": text}
    form = urlencode({"data": json.dumps(hook)})
    asked = [
        program.post("/", ntfy, authorization=f"Bearer {token}"),
        program.post(f"/hooks/{token}/bob", slack),
        program.post(f"/hooks/{token}/bob", mattermost),
        program.post(f"/bob/message?token={token}", gotify),
        program.post(f"/hooks/{token}/bob", hook),
        program.ask(f"/hooks/{token}/bob", form, content_type="application/x-www-form-urlencoded"),
    ]
    assert [answer[0] for answer in asked] == [200] * 6
    got = program.got()[before:]
    assert len(got) == 6
    assert all("timeout" in each for each in got), got
    assert got[-2:] == [text, text]
