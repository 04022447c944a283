"""What the operator does to members (rule 10.11), on both stores."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.store import older
from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from tests.store.pictures import png
from twotick.export import export_member
from twotick.store import (
    ActKind,
    ActsSoFar,
    AddInvitation,
    AddMember,
    AddToken,
    CheckLogin,
    FindActs,
    FindMember,
    FindPushes,
    FindReset,
    FindToken,
    InvitationInfo,
    ListDevices,
    ListInvitations,
    LoginProof,
    Member,
    MemberAct,
    OpenDevice,
    PushLook,
    PushSubscription,
    RemoveMember,
    SetDisabled,
    SetDisplay,
    SetOperator,
    SetPassword,
    SetProfile,
    SetPush,
    SignOut,
    StoreError,
    StoreLimits,
    SurveyMembers,
    WithdrawInvitation,
)


@pytest.fixture
def asker(new_asker: AskerMaker) -> Asker:
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob", "carol")
    return asker


def acts(asker: Asker, after: int = 0) -> tuple[MemberAct, ...]:
    return asker.ask(FindActs(after)).acts


def test_nothing_reaches_a_disabled_member_alone_and_all_that_was_accepted_waits(asker: Asker) -> None:
    bob = asker.members["bob"]
    asker.ask(AddToken(bob, "main", b"token", NOW))
    push = PushSubscription("https://push.example/1", b"k" * 65, b"a" * 16, True)
    asker.ask(SetPush(bob, "main", push))
    asker.send("alice", "bob", id=b"m1")
    assert asker.ask(SetDisabled("BOB", True, NOW))
    assert asker.ask(SetDisabled("bob", True, NOW + 1))
    assert acts(asker) == (MemberAct(bob, ActKind.SIGN_OUT, "", "the account was disabled"),)
    for proof in (LoginProof(b"token"), LoginProof(None, "")):
        assert asker.refusal(CheckLogin(bob, proof)) == "this account is disabled: ask the operator of the server"
    assert asker.refusal(OpenDevice(bob, "hook", 0, NOW)).startswith("this account is disabled"), "without a credential"
    found: Any = asker.ask(FindToken(b"token"))
    assert (found[0].disabled, asker.ask(FindMember("bob"))) == (True, found[0])
    assert asker.refusal(asker.append("alice", "bob", id=b"m2")) == "bob is disabled, and cannot get messages"
    assert asker.refusal(asker.append("bob", "alice", id=b"m3")).startswith("this account is disabled")
    asker.say("alice", b"to all of us", b"r1")
    assert asker.ask(FindPushes((PushLook(bob, frozenset()),), NOW + 9)) == []
    assert [each.disabled for each in asker.ask(SurveyMembers())] == [None, NOW, None]
    asker.reopen()
    assert asker.ask(SetDisabled("bob", False, NOW + 2))
    assert asker.refusal(CheckLogin(bob, LoginProof(b"other"))) == "wrong name, password or token"
    assert asker.ask(CheckLogin(bob, LoginProof(b"token"))) is None
    assert {entry.id for entry in asker.log("bob") if entry.id} >= {b"m1", b"r1"}
    assert len(acts(asker)) == 1
    assert not asker.ask(SetDisabled("nobody", True, NOW))


def test_devices_are_signed_out_and_keep_their_cursors(asker: Asker) -> None:
    bob = asker.members["bob"]
    for device in ("laptop", "laptop/chat", "laptop2"):
        asker.ask(AddToken(bob, device, device.encode(), NOW))
    start = asker.ask(FindActs(None))
    assert start.acts == ()
    assert asker.ask(SignOut(bob, "laptop", "why", NOW))
    assert [asker.ask(FindToken(each)) is None for each in (b"laptop", b"laptop/chat", b"laptop2")] == [
        True,
        True,
        False,
    ]
    assert asker.ask(SignOut(bob, "", "all", NOW + 1))
    assert not any(each.has_token for each in asker.ask(ListDevices(bob)))
    assert len(asker.ask(ListDevices(bob))) == 4
    assert [(each.device, each.reason) for each in acts(asker, start.last)] == [("laptop", "why"), ("", "all")]
    asker.ask(SetDisplay(bob, "  Bob   B. ", NOW + 2))
    assert asker.ask(FindActs(start.last + 2)) == ActsSoFar(start.last + 3, (MemberAct(bob, ActKind.PROFILE, "", ""),))
    assert asker.refusal(SetDisplay(bob, "a\u202eb", NOW)).startswith("a display name has no control characters")
    asker.ask(SignOut(bob, "", "later", NOW + 100_000))
    assert [each.reason for each in acts(asker)] == ["later"], "old acts are forgotten"


def test_a_code_resets_the_password_of_its_member_once(asker: Asker) -> None:
    bob = asker.members["bob"]
    asker.ask(AddInvitation(b"reset", NOW + 60, bob))
    asker.ask(AddInvitation(b"other", NOW + 70))
    assert asker.ask(ListInvitations(NOW)) == [
        InvitationInfo(b"reset", NOW + 60, "bob"),
        InvitationInfo(b"other", NOW + 70, ""),
    ]
    assert [asker.ask(FindReset(*each)) for each in (("BOB", b"reset", NOW), ("alice", b"reset", NOW))] == [True, False]
    assert not asker.ask(FindReset("bob", b"reset", NOW + 60))
    taken = "bob is a member already"
    assert asker.refusal(AddMember("bob", "x", NOW + 61, None, b"reset")) == taken
    assert asker.refusal(AddMember("bob", "x", NOW, None, b"other")) == taken
    assert asker.refusal(AddMember("alice", "x", NOW, None, b"reset")) == "alice is a member already"
    assert asker.refusal(AddMember("dora", "x", NOW, b"reset", b"reset")).startswith("the invitation is not good")
    found = asker.ask(AddMember("BOB", "new", NOW, b"reset", b"reset"))
    assert isinstance(found, Member)
    assert (found.name, found.password) == ("bob", "new")
    assert asker.refusal(AddMember("bob", "x", NOW, None, b"reset")) == taken
    for earlier in ("a code is used", "a password is set"):
        for code in (b"first", b"second"):
            asker.ask(AddInvitation(code, NOW + 60, bob))
        if earlier == "a code is used":
            asker.ask(SetDisabled("bob", True, NOW))
            assert asker.refusal(AddMember("bob", "x", NOW, None, b"second")).startswith("this account is disabled")
            asker.ask(SetDisabled("bob", False, NOW))
            assert isinstance(asker.ask(AddMember("bob", "new", NOW, None, b"second")), Member)
        else:
            asker.ask(SetPassword("bob", "other"))
        assert asker.refusal(AddMember("bob", "x", NOW, None, b"first")) == taken, earlier
    assert asker.ask(WithdrawInvitation(b"other"))
    assert not asker.ask(WithdrawInvitation(b"other"))


def test_roles_and_codes_end_with_their_member(asker: Asker) -> None:
    assert asker.ask(SetOperator("Bob", True))
    found = asker.ask(FindMember("bob"))
    assert found is not None
    assert found.operator
    assert [each.operator for each in asker.ask(SurveyMembers())] == [False, True, False]
    assert not asker.ask(SetOperator("nobody", True))
    asker.ask(AddInvitation(b"reset", NOW + 60, asker.members["bob"]))
    asker.ask(RemoveMember("bob", NOW))
    assert asker.ask(ListInvitations(NOW)) == []
    asker.add("bob")
    found = asker.ask(FindMember("bob"))
    assert found is not None
    assert not found.operator


def test_all_that_is_stored_about_a_member_is_exported(new_asker: AskerMaker, tmp_path: Path) -> None:
    asker = new_asker(StoreLimits())
    older.fill(asker)
    alice = asker.members["alice"]
    asker.ask(SetProfile(alice, "Alice A.", "here", png()))
    file = tmp_path / "alice.zip"
    count = export_member(asker.store, alice, "alice", file)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert (file.stat().st_mode & 0o777, list(tmp_path.glob(".twotick-*"))) == (0o600, [])
    profile = json.loads(found["profile.json"])
    assert (profile["name"], profile["display"], profile["status"]) == ("alice", "Alice A.", "here")
    assert found["picture.png"] == png()
    lists = {name: [json.loads(line) for line in found[name].splitlines()] for name in found if name.endswith("jsonl")}
    messages = lists["messages.jsonl"]
    entries = asker.log("alice")
    assert len(messages) == count == len(entries)
    assert [each["seq"] for each in messages] == [entry.seq for entry in entries]
    assert [each.get("text", "").encode() for each in messages] == [entry.body for entry in entries]
    assert {each["kind"] for each in messages} >= {"received", "sent", "delivered"}
    assert [each["name"] for each in lists["devices.jsonl"]] == [each.name for each in asker.ask(ListDevices(alice))]
    assert [each["role"] for each in lists["rooms.jsonl"] if each["name"] == "#Team"] == ["owner"]
    assert b"token" not in found["devices.jsonl"].replace(b"has_token", b"")
    for name in ("README.txt", "written_to.jsonl"):
        assert found[name]
    contents = [found[each["file"]] for each in lists["files.jsonl"]]
    assert older.CONTENT in contents
    target = tmp_path / "missing" / "alice.zip"
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        export_member(asker.store, alice, "alice", target)
