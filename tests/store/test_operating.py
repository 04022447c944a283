"""What the operator does to members (rule 10.11), on both stores."""

import json
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.store import older
from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from tests.store.pictures import png
from twotick.export import export_member
from twotick.store import (
    NOT_AN_OPERATOR,
    OWN_ACCOUNT,
    ActKind,
    ActsSoFar,
    AddInvitation,
    AddMember,
    AddToken,
    ByOperator,
    CheckLogin,
    Effects,
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
    Refusal,
    RemoveMember,
    Request,
    SetDisabled,
    SetDisplay,
    SetOperator,
    SetPassword,
    SetProfile,
    SetPush,
    SignOut,
    SqliteStore,
    StoreError,
    StoreLimits,
    SurveyMembers,
    Together,
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


def test_an_operator_acts_only_with_the_role_and_not_on_the_own_account(asker: Asker) -> None:
    alice, bob, carol = (asker.members[name] for name in ("alice", "bob", "carol"))
    asker.ask(SetPassword("alice", "hash"))

    def act(request: Any, locks_out: int | None = None, password: str = "hash", by: int = alice) -> Any:
        return asker.ask(ByOperator(by, password, locks_out, request))

    def refused(request: Any, **more: Any) -> str:
        answer = act(request, **more)
        assert isinstance(answer, Refusal)
        return answer.kind

    take_away = SetOperator("bob", False)
    assert refused(take_away, locks_out=bob) == NOT_AN_OPERATOR
    for name in ("alice", "bob"):
        asker.ask(SetOperator(name, True))
    assert refused(SetOperator("alice", False), locks_out=alice) == OWN_ACCOUNT
    assert refused(take_away, locks_out=bob, password="earlier") == NOT_AN_OPERATOR
    assert refused(take_away, locks_out=bob, by=10**9) == NOT_AN_OPERATOR
    assert refused(SetDisplay(carol, "a\u202eb", NOW)) == ""
    assert [each.operator for each in asker.ask(SurveyMembers())] == [True, True, False]
    assert act(SetOperator("carol", True), locks_out=carol) is True
    asker.ask(SetDisabled("alice", True, NOW))
    assert refused(take_away, locks_out=bob) == NOT_AN_OPERATOR
    asker.ask(SetDisabled("alice", False, NOW))
    assert isinstance(act(RemoveMember("bob", NOW), locks_out=bob), Effects)
    assert asker.ask(FindMember("bob")) is None
    assert refused(RemoveMember("alice", NOW), locks_out=alice, password="", by=bob) == NOT_AN_OPERATOR


def test_of_two_operators_who_act_on_each_other_at_once_one_remains(new_asker: AskerMaker) -> None:
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", device="")
    ways: list[Callable[[str], Request[Any]]] = [
        lambda name: SetOperator(name, False),
        lambda name: SetDisabled(name, True, NOW),
        lambda name: Together((SetPassword(name, ""), SignOut(asker.members[name], "", "reset", NOW))),
    ]
    with closing(another(asker)) as other:
        for way in [each for each in ways for _ in range(4)]:
            for name in asker.members:
                asker.ask(SetDisabled(name, False, NOW))
                asker.ask(SetOperator(name, True))
                asker.ask(SetPassword(name, "hash"))
            start = threading.Barrier(2)

            def act(store: Any, by: str, on: str, way: Any = way, start: Any = start) -> Any:
                start.wait()
                return store.ask(ByOperator(asker.members[by], "hash", asker.members[on], way(on)))

            with ThreadPoolExecutor(1) as pool:
                there = pool.submit(act, other, "bob", "alice")
                answers = [act(asker.store, "alice", "bob"), there.result()]
            assert sum(isinstance(each, Refusal) for each in answers) == 1, answers
            found = [asker.ask(FindMember(name)) for name in asker.members]
            assert [each is not None and each.operator and not each.disabled and each.password for each in found].count(
                "hash"
            ) == 1


def another(asker: Asker) -> SqliteStore:
    """Open the database of a store once more, as a command or another server does."""
    if asker.folder is None:
        from tests.store.postgres_asker import PostgresAsker

        assert isinstance(asker, PostgresAsker)
        return type(asker)(asker.url, asker.limits, exclusive=False).store
    return SqliteStore(asker.folder, asker.limits, exclusive=False)


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
