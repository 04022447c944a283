"""The line client on a terminal, as a member: rooms, answers, changes, reactions, files and search."""

import itertools
import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import Started, started
from tests.cli.operating import PASSWORD, Person, people
from tests.ui.terminal import Terminal, terminal
from twotick.client import join

TICK = "\u2713"
CROSS = "\u2717"


@pytest.fixture
def two(tmp_path: Path) -> Generator[list[Person]]:
    with people(tmp_path, "alice", "bob") as found:
        yield found


@pytest.fixture
def alice(two: list[Person]) -> Generator[Terminal]:
    """Alice on a terminal of 80 columns."""
    with terminal("chat", "--plain", "alice", columns=80, env=two[0].variables) as opened:
        opened.has("/help", ">")
        yield opened


@pytest.fixture
def bob(two: list[Person]) -> Generator[Started]:
    """Bob at the end of a pipe."""
    with started("chat", "bob", env=two[1].environment) as chat:
        chat.line()
        yield chat


def test_help_fits_a_screen(alice: Terminal) -> None:
    alice.type("/help\r")
    alice.has("> /help", "/search WORDS", "may follow")
    assert len(alice.lines) <= 24
    alice.type("/hlep\r")
    alice.has(f"{CROSS} there is no such command")


def test_a_room(alice: Terminal, bob: Started) -> None:
    alice.type("/create public #team wild oats\r")
    alice.has("You created #team. It is public.", "#team: alice created this room")
    bob.type("/join #team")
    assert bob.line() == "You joined #team, which has 1 other member. Type '#team hello' to write there."
    assert bob.line() == "#team: bob joined"
    alice.has("#team: bob joined")
    alice.type("#team hello\r")
    assert bob.line() == "#team alice: hello"
    alice.has(f"{TICK}{TICK} delivered to #team")
    bob.type("#team: hi\x1b[2J \u202eh")
    alice.has("#team bob: hi\u241b[2J <U+202E>h")
    alice.type("/rooms\r")
    alice.has("public  owner         2  wild oats")
    alice.type("/who #team\r")
    alice.has("alice            owner", "bob")
    alice.type("/topic #team red oats\r")
    alice.has("#team: alice changed the topic to: red oats", "#team: red oats")
    alice.type("/remove #team bob\r")
    alice.has("#team: alice removed bob", "bob was removed from #team.")
    alice.type("/create #cellar\r")
    alice.has("You created #cellar. It is private: '/invite #cellar carol' invites carol.")
    alice.type("/invite #cellar bob\r")
    alice.has("bob was invited to #cellar.")
    alice.type("/leave #team\r")
    alice.has("You left #team.")
    alice.type("/join #team\r")
    alice.has(f"{CROSS} there is no such room")
    said = bob.end()
    assert "alice invites you to #cellar" in said.stdout.splitlines()


def test_answers_changes_and_reactions(alice: Terminal, bob: Started) -> None:
    bob.type("@alice red or wild?")
    alice.has("bob: red or wild?")
    alice.type("/reply wild\r")
    alice.has(f"{TICK}{TICK} delivered to bob")
    alice.type("/edit red\r")
    alice.has(f"{TICK} edited")
    alice.type("/react \u2665\r")
    alice.has(f"{TICK} reacted")
    alice.type("/react\r")
    alice.has(f"{TICK} reaction removed")
    alice.type("/delete @bob\r")
    alice.has(f"{TICK} deleted; within 10 s, /undo brings it back")
    alice.type("/delete\r")
    alice.has(f"{CROSS} you have sent no message to bob in this session")
    bob.type("/edit @alice red or rye?")
    alice.has("bob: (edited) red or rye?")
    alice.type("/history @bob\r")
    alice.has("bob: red or rye? (edited)", "alice to bob: (deleted)")
    shown = [re.sub(r" \(\d+ m?s\)", "", line) for line in bob.end().stdout.splitlines()]
    assert [line for line in shown if line.startswith("alice: ")] == [
        "alice: (replies to bob) wild",
        "alice: (edited) red",
        "alice: (reacted to bob: \u2665)",
        "alice: (removed a reaction to bob)",
        "alice: (deleted a message)",
    ]


def test_what_there_is_nothing_of_is_said(alice: Terminal) -> None:
    for command, problem in (
        ("/edit hello", "there are no messages yet"),
        ("/react @bob", "there is no message from bob to react to"),
        ("/pin @bob", "there is no message from bob to pin"),
        ("/reply #team", "the text is missing: '/reply TEXT'"),
        ("/forward", "name a user or a room to send the message on to: '/forward @carol'"),
        ("/forward bob carol", "name a user or a room to send the message on to: '/forward @carol'"),
        ("/forward @bob @carol", "there is no message from bob to send on"),
        ("/save @bob", "there is no file from bob to save"),
        ("/file photo.png", "a name or a path is missing: '/file @bob PATH'"),
        ("/file @bob /nowhere", "No such file or directory"),
        ("/join", "name a room, such as #team"),
        ("/invite #team", "name a room and a member, such as #team carol"),
        ("/join te am", "'#te am' cannot be a room"),
    ):
        alice.type(f"{command}\r")
        alice.has(f"{CROSS} {problem}")
    alice.type("/who\r")
    alice.has("No users are online that you may see.")
    alice.type("/rooms\r")
    alice.has("There are no rooms")
    alice.type("/search oats\r")
    alice.has("No messages found.")


def test_a_message_is_pinned_and_unpinned(alice: Terminal, bob: Started) -> None:
    bob.type("@alice oats at noon")
    alice.has("bob: oats at noon")
    alice.type("/pins\r")
    alice.has("No messages are pinned in the conversation with bob.")
    alice.type("/pin\r")
    alice.has(f"{TICK} pinned")
    alice.type("/pins\r")
    alice.has("> /pins")
    alice.type("/unpin\r")
    alice.has(f"{TICK} unpinned")
    alice.type("/pins @bob\r")
    alice.has("> /pins @bob", "No messages are pinned in the conversation with bob.")


def test_files(alice: Terminal, bob: Started, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "large").write_bytes(content)
    alice.type(f"/file @bob {tmp_path}/large\r")
    assert bob.line() == "alice: [large, 2.9 MiB]"
    alice.has("large: 25 %", "large: 75 %", f"{TICK}{TICK} delivered to bob")
    bob.type(f"/save {tmp_path}/in")
    assert [bob.line() for _ in range(3)] == [f"[large, 2.9 MiB]: {done} %" for done in (25, 50, 75)]
    assert bob.line() == f"saved as {tmp_path}/in/large"
    assert (tmp_path / "in" / "large").read_bytes() == content


def test_a_message_is_forwarded_with_its_file(alice: Terminal, bob: Started, tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("oats at noon")
    bob.type(f"/file @alice {tmp_path}/plan.txt")
    alice.has("bob: [plan.txt, 12 bytes]")
    alice.type("/create public #team\r")
    alice.has("You created #team.")
    bob.type("/join #team")
    alice.has("#team: bob joined")
    alice.type("/forward @bob #team\r")
    alice.has(f"{TICK}{TICK} delivered to #team")
    alice.type("/edit tea\r")
    alice.has(CROSS)
    alice.type("/forward @bob @nobody\r")
    alice.has(f"{CROSS} nobody")
    bob.type(f"/save #team {tmp_path}/in")
    said = bob.end().stdout.splitlines()
    assert "#team alice: (forwarded from bob) [plan.txt, 12 bytes]" in said
    assert (tmp_path / "in" / "plan.txt").read_text() == "oats at noon"


def test_a_message_is_found(bob: Started) -> None:
    bob.type("@alice wild oats")
    assert bob.line() == f"{TICK} stored for alice"
    bob.type("/search oat*")
    while (found := bob.line()) == "No messages found.":  # it may take a few seconds
        bob.type("/search oat*")
    assert found == "bob to alice: wild oats"


async def test_blocked_users_are_hidden_in_rooms(two: list[Person], bob: Started) -> None:
    """Rule 14.4; from another device, while the line client runs and before it is started."""
    async with join("alice", two[0].server, password=PASSWORD, device="phone") as phone:
        await phone.create_room("#team", public=True)
        bob.type("/join #team")
        with started("chat", "alice", env=two[0].environment) as alice:
            alice.line()
            await phone.set_conversation("bob", blocked=True)
            while "bob is now blocked" not in alice.line():
                pass
            bob.type("#team one")
            await phone.receive()
        with started("chat", "alice", env=two[0].environment) as alice:
            alice.line()
            bob.type("#team two")
            await phone.receive()
            await phone.send("#team", "three")
            while "three" not in (line := alice.line()):
                assert "two" not in line
            await phone.set_conversation("bob", blocked=False)
            assert alice.line() == "bob is now neither muted nor blocked"
            bob.type("#team three")
            assert alice.line() == "#team bob: three"


def test_mute_block_and_report(alice: Terminal, bob: Started) -> None:
    alice.type("/create public #team\r")
    alice.has("You created #team.")
    bob.type("/join #team")
    assert bob.line().startswith("You joined #team")
    alice.type("/mute #team\r")
    alice.has("Notifications for #team are off.")
    alice.type("/mute\r")
    alice.has("Muted:\n  #team")
    alice.type("/unmute #team\r")
    alice.has("Notifications for #team are on.")
    bob.type("#team buy this")
    alice.has("#team bob: buy this")
    alice.type("/report #team spam\r")
    alice.has("bob was reported to the operator, with a copy of the message.")
    alice.type("/report @carol what a name\r")
    alice.has("carol was reported to the operator.")
    alice.type("/report\r")
    alice.has(f"{CROSS} the text is missing: '/report @bob TEXT'")
    alice.type("/block @bob\r")
    alice.has("bob is now blocked", "bob is blocked, and is not told.")
    bob.type("#team buy more")
    bob.type("/history #team")
    while bob.line() != "#team bob: buy more":
        pass
    alice.type("/block\r")
    alice.has("Blocked:\n  bob")
    alice.type("/search buy\r/history #team\r/rooms\r")
    alice.has("public  owner         2")
    assert sum("bob: buy" in line for line in alice.lines) == 1, "only what came before"
    alice.type("/block #team\r")
    alice.has(f"{CROSS} a room cannot be blocked")
    alice.type("/unblock bob\r")
    alice.has("bob is no longer blocked.")
    alice.type("/unblock\r")
    alice.has(f"{CROSS} name one user or room, such as @bob or #team")
    bob.type("#team hello")
    alice.has("#team bob: hello")


def test_users_online_are_listed(alice: Terminal, bob: Started) -> None:
    bob.type("@alice hello")
    alice.has("bob: hello")
    alice.type("@bob hello\r")
    while not bob.line().startswith("alice: "):
        pass
    bob.type("/who")
    assert bob.line() == "alice            here"


def test_a_deletion_is_undone_and_one_that_waits_is_sent_at_the_end(alice: Terminal, bob: Started) -> None:
    alice.type("@bob red\r")
    assert bob.line() == "alice: red"
    alice.type("/delete\r")
    alice.has("/undo brings it back")
    alice.type("/undo\r")
    alice.has(f"{TICK} the message is back")
    alice.type("/undo\r")
    alice.has(f"{CROSS} there is no deletion to undo, or it is too late")
    alice.type("/edit rye\r")
    assert bob.line() == "alice: (edited) rye"
    alice.type("/delete\r")
    alice.has("> /delete\n", "brings it back", f"{TICK} edited")
    alice.type("/quit\r")
    assert bob.line() == "alice: (deleted a message)"


def test_a_thread_and_receipts_are_shown(alice: Terminal, bob: Started) -> None:
    bob.type("/create public #team")
    bob.line()
    bob.line()
    alice.type("/join #team\r")
    assert bob.line() == "#team: alice joined"
    bob.type("#team red or wild?")
    alice.has("#team bob: red or wild?")
    alice.type("/thread #team\r")
    alice.has("There are no answers.")
    alice.type("/reply #team wild\r")
    alice.has("delivered to #team")
    alice.type("#team hm\r")
    alice.type("/thread\r")
    alice.has("#team bob: red or wild?\n", "#team alice: (replies to bob) wild")
    alice.type("/receipts\r")
    alice.has("bob              read")
    bob.type("/access #team guests")
    alice.has("#team: bob lets guests in")
    bob.type("/access #team private")
    alice.has("#team: bob made the room private")
    bob.type("/appoint #team alice moderator")
    alice.has("#team: bob made alice a moderator")
    alice.type("/access #team rusty\r")
    alice.has(f"{CROSS} say private, public or guests")
    alice.type("/appoint carol king\r")
    alice.has(f"{CROSS} name a member and a role")
    alice.type("/status hidden\r")
    alice.has("Others do not see whether you are here.")


def test_tab_completes_commands_and_names(alice: Terminal, bob: Started) -> None:
    bob.type("/create public #team")
    bob.type("@alice hello")
    alice.has("bob: hello")
    alice.type("@bo\thi\r")
    alice.has("> @bob hi", "to bob")
    alice.type("/his\t\r")
    alice.has("> /history", "alice to bob: hi")
    alice.type("/join #team\r")
    alice.has("You joined #team")
    alice.type("/msg #te\thi\r")
    alice.has("> /msg #team hi", "delivered to #team")


def test_display_names_and_actions_are_shown(alice: Terminal, bob: Started) -> None:
    bob.type("/nick \u0410lice")
    bob.type("@alice hello")
    alice.has("bob (\u0410lice, not alice): hello")
    bob.type("@alice /me waves")
    alice.has("* bob (\u0410lice, not alice) waves")
    bob.type("/nick Bob Miller")
    for number in itertools.count():
        bob.type(f"@alice again {number}")
        alice.has(f"again {number}")
        if f"bob (Bob Miller): again {number}" in alice.screen:  # the server has told of the change
            break


def test_formatting_can_be_turned_off(two: list[Person], bob: Started) -> None:
    bold = "\x1b[1mnow\x1b[0m"
    for value in ("true", "false"):
        variables = {**two[0].variables, "TWOTICK_FORMATTING": value}
        with terminal("chat", "--plain", "alice", columns=80, env=variables) as alice:
            alice.has("/help", ">")
            bob.type(f"@alice *now* {value}")
            alice.has(f"bob: *now* {value}")
            assert (bold in alice.output) is (value == "true")
