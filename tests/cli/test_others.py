"""`twotick mute`, `twotick block` and `twotick report`; and what is hidden of who is blocked."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import started
from tests.cli.operating import PASSWORD, Person, people
from twotick.client import join


@pytest.fixture
def two(tmp_path: Path) -> Generator[list[Person]]:
    with people(tmp_path, "alice", "bob") as found:
        yield found


def test_who_is_muted_and_who_is_blocked_is_set_and_listed(two: list[Person]) -> None:
    alice, _ = two
    assert alice.do("mute") == "No conversations are muted.\n"
    assert alice.do("block") == "No users are blocked.\n"
    assert alice.do("mute", "bob") == "Notifications for bob are off.\n"
    assert alice.do("block", "eve") == "eve is blocked, and is not told.\n"
    alice.do("room", "create", "team")
    assert alice.do("mute", "#team") == "Notifications for #team are off.\n"
    assert sorted(alice.do("mute").splitlines()) == ["#team", "bob"]
    assert [json.loads(line) for line in alice.do("block", "--json").splitlines()] == [
        {"name": "eve", "muted": False, "blocked": True}
    ]
    assert alice.do("block", "eve", "--off") == "eve is no longer blocked.\n"
    assert alice.do("mute", "bob", "--off") == "Notifications for bob are on.\n"
    assert (alice.do("mute"), alice.do("block"), alice.do("block", "--json")) == (
        "#team\n",
        "No users are blocked.\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["block", "alice"], 64, "you cannot block yourself"),
        (["block", "#team"], 64, "a room cannot be blocked: mute #team, or leave it"),
        (["block", "b b"], 64, "b b"),
        (["mute", "--off"], 64, "a name is missing: give a user, or a room in quotes such as '#team'"),
        (["mute", ""], 64, "a name is missing"),
        (["mute", "bob", "--json"], 64, "--json is for the list"),
        (["mute", "#cellar"], 67, "there is no such room"),
        (["report", "bob", "x" * 5000], 64, "4096 is the limit"),
        (["report", "#team", "x"], 64, "#team"),
    ],
)
def test_what_cannot_be_done_is_said(two: list[Person], arguments: list[str], status: int, said: str) -> None:
    ended = two[0].run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_a_user_and_a_message_are_reported(two: list[Person]) -> None:
    alice, bob = two
    async with join("bob", bob.server, password=PASSWORD, device="phone") as phone:
        await phone.send("alice", "buy this", id="m1")
    assert alice.do("report", "bob", "spam") == "bob was reported to the operator.\n"
    (message,) = (json.loads(line) for line in alice.do("history", "bob", "--json").splitlines())
    said = alice.do("report", "bob", "spam again", "--about", message["id"])
    assert said == "bob was reported to the operator, with a copy of the message.\n"


async def test_a_listener_does_not_print_what_blocked_users_say_in_rooms(two: list[Person]) -> None:
    """Rule 14.4: who was blocked before it began, and while it listens; until that is taken back."""
    alice, bob = two
    async with (
        join("alice", alice.server, password=PASSWORD, device="phone") as phone,
        join("bob", bob.server, password=PASSWORD, device="phone") as sender,
    ):
        await phone.create_room("#team", public=True)
        await sender.join_room("#team")
        await phone.set_conversation("bob", blocked=True)
        with started("listen", "alice", "--count", "2", env=alice.environment) as listener:
            while "desk/listen" not in [each.device for each in await phone.devices() if each.connected]:
                await asyncio.sleep(0.02)
            await sender.send("#team", "one")
            await phone.set_conversation("bob", blocked=False)
            await sender.send("#team", "two")
            assert listener.line() == "#team bob: two"
            await phone.set_conversation("bob", blocked=True)
            await sender.send("#team", "three")
            await phone.set_conversation("bob", blocked=False)
            await sender.send("#team", "four")
            assert listener.line() == "#team bob: four"
            assert listener.end().returncode == 0
