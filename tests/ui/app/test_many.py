"""The message list with ten thousand messages."""

import asyncio
from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from tests.client.members import chatting, until
from tests.ui.app.examples import message, put
from tests.ui.app.users import app_user, member
from twotick.ui.app.layout import messages as layout
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import Attachment, LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.themes import NAMES
from twotick.ui.app.widgets import message_list as messages
from twotick.ui.app.widgets.message_list import MessageList

MANY = 10_000


class Lone(App[None]):
    """An app with only a message list."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.conversations = ConversationRegistry("alice")
        self.list = MessageList(self.conversations)
        self.conversation = LocalConversation("bob", "bob", loaded=True, complete=True)
        for seq in range(1, count + 1):
            each = message(f"message {seq} " + "and more of it " * (seq % 7), seq, minutes=seq)
            each.number = seq
            each.id = f"m{seq}"
            if seq % 5 == 0:
                each.reply_to = ("bob", f"m{seq // 2}")
            if seq % 7 == 0:
                each.reactions = {"+1": ["carol"]}
            if seq % 11 == 0:
                each.file = Attachment("k", f"file {seq}.txt", seq, "")
            self.conversation.messages.append(each)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return NAMES

    def compose(self) -> ComposeResult:
        yield self.list

    def on_mount(self) -> None:
        self.list.show(self.conversation, None)

    @property
    def shown(self) -> str:
        return "\n".join(self.list.render_line(y).text for y in range(self.list.size.height))


async def test_only_visible_messages_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []

    def counted(*arguments: object) -> list[layout.Line]:
        built.append(1)
        return layout.lines(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "lines", counted)
    app = Lone(MANY)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(lambda: f"message {MANY} " in app.shown)
        assert len(built) < 40
        app.list.focus()
        await pilot.press("home")
        await until(lambda: "message 1 " in app.shown)
        assert len(built) < 80
        for _ in range(50):
            await pilot.press("pagedown")
        assert len(built) < 1000


async def test_only_changed_messages_are_laid_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[LocalMessage] = []

    def noted(each: LocalMessage, around: layout.LayoutContext, width: int) -> int:
        measured.append(each)
        return layout.height(each, around, width)

    app = Lone(MANY)
    async with app.run_test(size=(60, 20)):
        await until(lambda: f"message {MANY} " in app.shown)
        monkeypatch.setattr(messages, "height", noted)
        changed, following = app.conversation.messages[-3:-1]
        changed.text = "two\nlines"
        app.list.message_changed(changed)
        app.list.update_messages()
        assert measured == [changed, following]  # which may begin a day, or stand under another name
        assert "two" in app.shown
        assert "lines" in app.shown
        assert f"message {MANY} " in app.shown
        measured.clear()
        new = message("brand new", MANY + 1, minutes=MANY + 1)
        app.conversation.messages.append(new)
        app.list.update_messages()
        assert measured == [new]
        assert "brand new" in app.shown
        measured.clear()
        older = [message(f"older {seq}", seq, minutes=seq) for seq in range(-9, 1)]
        second = app.conversation.messages[0]
        app.conversation.messages[:0] = older
        app.list.update_messages()
        assert measured == [*older, second]
        assert "brand new" in app.shown
        measured.clear()
        gone = app.conversation.messages.pop(5000)
        app.list.update_messages()
        assert measured == [app.conversation.messages[5000]]
        assert gone not in measured
        app.list.action_select_first()
        assert "older -9" in app.shown


async def test_a_quote_changes_with_the_quoted_message() -> None:
    app = Lone(10)
    conversations = app.conversations
    put(conversations, *(quoted := app.conversation.messages))
    app.conversation = conversations.open("bob")
    async with app.run_test(size=(60, 20)):
        await until(lambda: "\u250c bob: message 5" in app.shown)
        quoted[4].text = "something else"
        app.list.message_changed(quoted[4])
        app.list.update_messages()
        assert "\u250c bob: something else" in app.shown


async def test_every_message_has_as_many_lines_as_were_measured() -> None:
    app = Lone(300)
    async with app.run_test(size=(40, 20)) as pilot:
        app.list.focus()
        await pilot.press("home")
        seen = set[str]()
        while not app.list.at_end:
            seen.update(app.shown.split("\n"))
            app.list.action_page(1)
        seen.update(app.shown.split("\n"))
        assert all(any(f" message {seq} " in f"{line} " for line in seen) for seq in range(1, 301))


async def test_visible_messages_stay_in_place_when_messages_arrive_and_the_width_changes() -> None:
    app = Lone(1000)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(lambda: app.list.at_end and "message 1000 " in app.shown)
        app.list.action_page(-20)
        assert not app.list.at_end
        first = app.list.top_message()
        new = message("new", 2000)
        new.number = 2000
        app.conversation.messages.append(new)
        app.list.update_messages()
        assert app.list.top_message() == first
        old = message("old", 0, minutes=-5)
        old.number = 2001
        app.conversation.messages.insert(0, old)
        app.list.update_messages()
        assert app.list.top_message() == first
        await pilot.resize_terminal(31, 12)
        await pilot.pause()
        assert app.list.top_message()[0] is first[0]


async def test_older_messages_are_loaded_while_scrolling(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, chat.join("alice") as elsewhere:
        await asyncio.gather(*(bob.queue("alice", f"number {each}.") for each in range(700)))
        for _ in range(700):
            await (await elsewhere.receive()).ack()
        async with app_user(member(chat, tmp_path)) as alice:
            await alice.opens("bob")
            await alice.press("ctrl+end")
            await alice.sees("number 699.")
            bob_here = alice.session.conversations.open("bob")
            assert len(bob_here.messages) < 700
            await alice.press("escape", "escape")
            while not bob_here.complete:
                await alice.press("home")
            await alice.press("home")
            await alice.sees("number 0.")
            assert [each.text for each in bob_here.messages] == [f"number {each}." for each in range(700)]
