"""The app with a real server."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.client.members import Proxy, chatting, take, until
from tests.ui.app.users import app_user, guest, member
from twotick.client import connect
from twotick.client.trust import tokens
from twotick.ui.app import AppOptions, TwotickApp, run_app
from twotick.ui.app.storage.database import LocalStoreError
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.sidebar import Sidebar

TICKS = "\u2713\u2713"


async def test_a_guest_enters_a_name_and_chats() -> None:
    async with chatting() as chat, connect("bob", chat.address) as bob, app_user(AppOptions(chat.address)) as alice:
        await alice.sees("Server", chat.address, "Password")
        await alice.type("alice", "enter", "enter")
        await alice.sees("No conversations yet", f"alice@{chat.address}")
        await alice.talks_to("bob")
        await alice.sees("Message to bob")
        await alice.type("hello bob", "enter")
        message = await bob.receive()
        assert (message.sender, message.text) == ("alice", "hello bob")
        await alice.sees("hello bob")
        await message.ack()
        await alice.sees(TICKS)
        await bob.send("alice", "hello alice")
        await alice.sees("bob  ", "hello alice")


async def test_a_new_user_signs_up_and_signs_in_again(tmp_path: Path) -> None:
    async with chatting("bob") as chat:
        options = AppOptions(chat.address, folder=tmp_path)
        async with app_user(options) as alice:
            await alice.type("alice", "tab")
            await alice.type("correct horse", "tab", "space", "tab")
            await alice.type("correct house", "enter")
            await alice.sees("The two passwords differ")
            await alice.press("ctrl+u")
            await alice.type("correct horse", "enter")
            await alice.sees("No conversations yet", f"\u25cf alice@{chat.address}")
        async with app_user(options) as alice:
            await alice.type("alice", "tab")
            await alice.type("wrong horse", "enter")
            await alice.sees("wrong name or password", "operator can set a new one")
            await alice.type("correct horse", "enter")
            await alice.sees("No conversations yet")


async def test_the_sign_in_form_shows_what_is_wrong_and_goes_to_that_field() -> None:
    async with app_user(AppOptions("127.0.0.1:1")) as alice:
        await alice.type("al ice", "enter", "enter")
        await alice.sees("The name must have 1 to 32 letters and digits")
        await alice.type("alice", "tab")
        await alice.type("short", "tab", "space", "tab")
        await alice.type("short", "enter")
        await alice.sees("at least 8")
        await alice.type("correct horse", "tab", "tab")
        await alice.press("ctrl+u")
        await alice.type("correct horse", "enter")
        await alice.sees("no server at 127.0.0.1:1", "Connect")


async def test_keys_that_come_fast_after_the_tick_go_to_the_field_that_it_shows() -> None:
    """A password must not be shown in the field for the name of the device, or be lost at the button."""
    async with app_user(AppOptions("127.0.0.1:1")) as alice:
        await alice.press(*"alice", "tab", *"correcthorse", "tab", "space", "tab", *"correcthorse", "tab", *"code")
        fields = {each.id: each.value for each in alice.app.screen.query(Input)}
        assert fields["repeated"] == fields["password"] == "correcthorse"
        assert (fields["server"], fields["name"], fields["device"]) == ("127.0.0.1:1", "alice", "")
        assert fields["invitation"] == "code"


async def test_a_name_with_a_server_fills_in_the_field_for_the_server() -> None:
    async with app_user(AppOptions("127.0.0.1:1")) as alice:
        await alice.type("alice@chat.example", "tab")
        await until(lambda: alice.app.screen.query_one("#server", Input).value == "chat.example")
        assert alice.app.screen.query_one("#name", Input).value == "alice"


async def test_a_guest_with_a_taken_name_is_asked_for_another() -> None:
    async with chatting("alice") as chat, app_user(guest(chat.address)) as alice:
        await alice.sees("is a member's", "Password")


async def test_ticks_follow_the_delivery_state(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, app_user(member(chat, tmp_path)) as alice:
        await alice.talks_to("bob")
        await alice.type("hello", "enter")
        await alice.sees_at_end("hello", " \u2713")
        async with chat.join("bob") as bob:
            message = await bob.receive()
            await message.ack()
            await alice.sees(TICKS)
            await message.read()
            (mine,) = alice.session.conversations.open("bob").messages
            await until(lambda: mine.state is not None and mine.state.name == "READ")


async def test_an_undeliverable_message_can_be_sent_again(tmp_path: Path) -> None:
    async with chatting("alice") as chat, app_user(member(chat, tmp_path)) as alice:
        await alice.talks_to("carol")
        await alice.type("anybody", "enter")
        await alice.sees("\u2717", "not delivered: ")
        async with connect("carol", chat.address) as carol:
            await alice.press("escape", "escape", "a")
            message = await carol.receive()
            assert message.text == "anybody"
            await message.ack()
            await alice.sees(TICKS)


async def test_unread_messages_are_counted_until_they_are_read(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", "carol") as chat,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
        app_user(member(chat, tmp_path)) as alice,
    ):
        await bob.send("alice", "from bob")
        await alice.opens("bob")
        await alice.sees("from bob")
        receipt = await carol.send("alice", "@alice come")
        await carol.send("alice", "please")
        await alice.sees("@2", "2 unread elsewhere")
        await receipt.delivered()
        assert receipt.state.name == "DELIVERED"
        await alice.press("f3")
        await alice.sees("please", "new")
        await receipt.read()
        await alice.sees_no("@2")


async def test_a_lost_connection_is_shown_and_waiting_messages_are_sent_after_reconnecting(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, app_user(member(chat, tmp_path, at=address)) as alice:
            await alice.talks_to("bob")
            proxy.away = True
            proxy.cut()
            await alice.sees("No connection", "trying again")
            await alice.type("one", "enter")
            await alice.type("two", "enter")
            await alice.sees("2 waiting to be sent")
            proxy.away = False
            await alice.press("ctrl+r")
            await alice.sees("\u25cf alice")
            assert [message.text for message in await take(bob, 2)] == ["one", "two"]
            await alice.sees_no("waiting to be sent")


async def test_drafts_and_waiting_messages_survive_a_restart(tmp_path: Path) -> None:
    async with chatting("alice", "bob", "carol") as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address:
            options = member(chat, tmp_path, at=address)
            proxy.away = True
            async with app_user(options) as alice:
                await alice.press("ctrl+k")
                await alice.type("bob", "enter")
                await alice.sees("No connection", "Message to bob")
                await alice.type("to be sent", "enter")
                await alice.type("half a sent")
                await alice.press("ctrl+k")
                await alice.type("carol", "enter")
                await alice.sees("Message to carol")
            proxy.away = False
            async with app_user(options) as alice, chat.join("bob") as bob:
                assert [message.text for message in await take(bob, 1)] == ["to be sent"]
                await alice.sees("Message to carol")
                await alice.press("ctrl+k")
                await alice.sees("Go to")
                await alice.type("bob", "enter")
                await alice.sees("half a sent", TICKS)
                await alice.talks_to("carol")
                await alice.sees("\u270e")


async def test_drafts_of_a_guest_survive_a_restart() -> None:
    async with chatting() as chat:
        async with app_user(guest(chat.address)) as alice:
            await alice.sees("\u25cf alice")
            await alice.talks_to("bob")
            await alice.type("half a sent")
            await alice.finds(lambda: alice.session.conversations.open("bob").draft == "half a sent")
        async with app_user(guest(chat.address)) as alice:
            await alice.sees("half a sent", "guest")


async def test_stored_messages_are_shown_without_a_connection(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, chat.join("bob") as bob:
            options = member(chat, tmp_path, at=address)
            async with app_user(options) as alice:
                await bob.send("alice", "remember me")
                await alice.opens("bob")
                await alice.sees("remember me")
            proxy.away = True
            async with app_user(options) as alice:
                await alice.sees("remember me")


async def test_one_key_shows_the_keys_and_a_question_mark_is_only_typed() -> None:
    async with chatting() as chat, app_user(guest(chat.address)) as alice:
        await alice.sees("No conversations yet")
        await alice.press("f1")
        await alice.sees("Keys", "Enter", "New line")
        await alice.press("escape")
        await alice.talks_to("bob")
        await alice.type("?? really", "enter")
        await alice.sees("alice", "?? really")


async def test_the_palette_lists_all_commands() -> None:
    async with chatting() as chat, app_user(guest(chat.address), 80, 60) as alice:
        await alice.sees("No conversations yet")
        await alice.press("ctrl+p")
        await alice.sees("Go to ...", "Next unread conversation", "Details", "Colours", "Keys", "Quit")
        await alice.type("deta", "enter")
        await alice.sees("Server   127.0.0.1")


async def test_commands_can_be_typed() -> None:
    async with chatting() as chat, app_user(guest(chat.address)) as alice:
        await alice.talks_to("bob")
        await alice.type("/to carol", "enter")
        await alice.sees("Message to carol")
        await alice.type("/nonsense", "enter")
        await alice.sees("There is no command /nonsense")
        await alice.sees("/nonsense")


async def test_names_and_emoji_are_completed() -> None:
    async with chatting() as chat, app_user(guest(chat.address)) as alice:
        await alice.talks_to("barbara")
        await alice.type("hi @ba", "tab")
        await alice.type(":tada", "tab")
        await alice.finds(lambda: alice.session.conversations.open("barbara").draft == "hi @barbara \U0001f389")


async def test_the_up_key_recalls_sent_messages() -> None:
    async with chatting() as chat, app_user(guest(chat.address)) as alice:
        await alice.talks_to("bob")
        await alice.type("one", "enter")
        await alice.type("two", "enter")
        await alice.type("thr", "up", "up")
        draft = alice.session.conversations.open("bob")
        await alice.finds(lambda: draft.draft == "one")
        await alice.press("down", "down")
        await alice.finds(lambda: draft.draft == "thr")


@pytest.mark.parametrize(("width", "height"), [(40, 20), (80, 24), (200, 60), (20, 6), (1, 1)])
async def test_the_app_fits_every_terminal(width: int, height: int) -> None:
    async with chatting() as chat, connect("bob", chat.address) as bob, app_user(guest(chat.address)) as alice:
        await alice.sees("No conversations yet")
        await alice.resize(width, height)
        sending = asyncio.create_task(bob.send("alice", "longer than a narrow line is wide \u4f60\u597d " * 3))
        if width >= 40:
            await alice.finds(lambda: alice.session.conversations.unread == 1)
            await alice.press("f3")
            await alice.sees("longer than a narrow line", "Message to bob")
        await sending
        assert len(alice.screen.splitlines()) <= height


async def test_hostile_text_stays_within_its_place(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202eevil [bold]markup[/] \x9b31m" + "e" + "\u0301" * 500 + "\n" * 3000 + "end"
    async with (
        chatting("alice", "bob") as chat,
        chat.join("bob") as bob,
        app_user(member(chat, tmp_path), 80, 40) as alice,
    ):
        await bob.send("alice", hostile)
        await alice.opens("bob")
        await alice.sees("\u241b]0;owned\u2407", "[bold]markup[/]", "<U+202E>evil", "v: show all")
        assert "\x1b" not in alice.screen
        await bob.send("alice", "x" * 900_000)
        await bob.send("alice", "short")
        await alice.sees("short")
        await alice.press("escape", "escape", "up", "enter")
        await alice.sees("xxxxxxxxxx")


async def test_everything_is_readable_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, app_user(member(chat, tmp_path)) as alice:
        await bob.send("alice", "hello")
        await alice.opens("bob")
        await alice.sees("\u258c", " bob", "hello")
        strips = alice.strips
        filtered = [each.apply_filter(alice.app._filters[-1], alice.app.screen.background_colors[1]) for each in strips]  # pyright: ignore[reportPrivateUsage]
        styles = [segment.style for strip in filtered for segment in strip if segment.style is not None]
        assert {each.color.name for each in styles if each.color} <= {"default"}


async def test_a_session_replaced_by_another_one_can_be_resumed(tmp_path: Path) -> None:
    async with chatting("alice") as chat, app_user(member(chat, tmp_path)) as alice:
        await alice.sees("\u25cf alice")
        async with chat.join("alice", device="laptop/chat"):
            await alice.sees("No connection", "Ctrl+R: connect again")
        await alice.press("ctrl+r")
        await alice.sees("\u25cf alice")


async def test_a_guest_confirms_before_waiting_messages_are_lost() -> None:
    async with chatting() as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, app_user(guest(address)) as alice:
            await alice.talks_to("bob")
            proxy.away = True
            proxy.cut()
            await alice.sees("No connection")
            await alice.type("wait", "enter", "ctrl+q")
            await alice.sees("1 message is not sent yet")
            await alice.press("escape")
            await alice.sees("1 waiting to be sent")


async def test_a_full_disk_is_reported_and_the_typed_text_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting("alice") as chat, app_user(member(chat, tmp_path)) as alice:
        await alice.talks_to("bob")

        def full(*_: object) -> None:
            raise LocalStoreError("chat.db cannot be used: database or disk is full")

        monkeypatch.setattr(alice.session.store, "add", full)
        await alice.type("keep this", "enter")
        await alice.sees("disk is full", "keep this")
        monkeypatch.undo()
        await alice.press("enter")
        await alice.sees("\u2717", "not delivered: ")


async def test_the_mouse_selects_conversations_and_messages(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", "carol") as chat,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
        app_user(member(chat, tmp_path)) as alice,
    ):
        await bob.send("alice", "from bob")
        await alice.opens("bob")
        await alice.sees("from bob")
        await carol.send("alice", "from carol")
        await alice.sees("carol")
        await alice.click(Sidebar, 3, 0)
        await alice.sees("Message to carol", "from carol")
        await alice.click(MessageList, 4, alice.app.screen.query_one(MessageList).size.height - 1)
        await alice.sees("\u258c from carol")


@pytest.mark.parametrize(("looks", "rings"), [(True, False), (False, True)])
async def test_the_bell_rings_only_for_messages_that_are_not_visible(tmp_path: Path, looks: bool, rings: bool) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, app_user(member(chat, tmp_path)) as alice:
        rung: list[bool] = []
        alice.app.bell = lambda: rung.append(True)  # type: ignore[method-assign]
        await alice.talks_to("bob")
        alice.app.app_focus = looks
        receipt = await bob.send("alice", "psst")
        await alice.sees("psst")
        assert bool(rung) is rings
        if not looks:
            await receipt.delivered()
            assert receipt.state.name == "DELIVERED"
            alice.app.app_focus = True
        await receipt.read()


async def test_a_message_that_arrives_during_the_start_is_shown(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        for count in range(5):
            sending = asyncio.create_task(bob.send("alice", f"number {count}"))
            async with app_user(member(chat, tmp_path)) as alice:
                await (alice.sees if count else alice.opens)("bob")
                await alice.sees(f"number {count}")
                assert len(alice.app.screen_stack) == 2
            await sending


@pytest.mark.parametrize(("status", "exits"), [(1, True), (0, False), (None, False)])
async def test_an_app_that_has_failed_does_not_exit_with_0(
    monkeypatch: pytest.MonkeyPatch, status: int | None, exits: bool
) -> None:
    async def run(app: TwotickApp) -> None:
        monkeypatch.setattr(app, "_return_code", status)  # as Textual sets it after an exception

    monkeypatch.setattr(TwotickApp, "run_async", run)
    with pytest.raises(SystemExit) if exits else contextlib.nullcontext() as ended:
        await run_app(guest("127.0.0.1:1"))
    assert getattr(ended, "value", SystemExit(70)).code == 70


async def test_the_user_goes_from_one_account_to_another_and_signs_in_with_a_third(tmp_path: Path) -> None:
    async with chatting("alice", "work", "bob") as chat, chat.join("bob") as bob:
        for name in ("work", "alice"):
            tokens.save(chat.address, name, "laptop", chat.token(name))
        async with app_user(member(chat, tmp_path)) as alice:
            await bob.send("work", "are you in?")
            await alice.talks_to("bob")
            await alice.type("half a sent")
            await alice.press("f9")
            await alice.sees("Accounts", f"work@{chat.address}", "Sign in with another account")
            assert f"alice@{chat.address}" not in alice.screen.split("Accounts")[1].split("Sign in")[0]
            await alice.press("enter")
            await alice.sees("1 unread.", f"\u25cf work@{chat.address}")
            await alice.press("f9")
            await alice.sees("Accounts")
            await alice.type("alice", "enter")
            await alice.sees("half a sent", f"\u25cf alice@{chat.address}")
            await alice.press("f9")
            await alice.sees("Accounts")
            await alice.type("sign in", "enter")
            await alice.sees("Your name", chat.address)
