"""The screens on which one searches in what was said (rule 14.5), and sees what was said around what was found."""

import contextlib
import re
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from twotick.client.errors import TwotickError
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.messages import MessageActions
from twotick.ui.app.dialogs.tick import TickBox
from twotick.ui.app.layout.messages import summary
from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import SearchHit
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.text import placed

_MORE = "more"
_BEFORE_WORD = 24
"""Characters that are shown before the first word that was looked for."""

_AROUND = 3
"""Messages before and after the one that was found, as context."""

_EXCERPT = 50
"""Likewise where it is shown alone."""

_LONGEST_QUERY = 200


class SearchScreen(ModalScreen[SearchHit | None]):
    """Words to look for, what was found, and what was said around it. Gives what is chosen.

    Args:
        desk: for whom.
        query: what is looked for at once; empty to ask.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("down", "move(1)", "Down", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    SearchScreen {
        background: $background;
        & > Vertical { height: 1fr; padding: 0 1; background: $background; }
        #heading { height: 1; text-style: bold; }
        Input { border: none; border-bottom: solid $border-blurred; padding: 0; height: 2; background: $background; }
        Input:focus { border: none; border-bottom: solid $primary; }
        Checkbox { border: none; padding: 0; height: 1; width: 100%; background: $background; }
        Checkbox:focus { border: none; }
        Checkbox > .toggle--button { background: $background; color: $foreground; }
        OptionList {
            border: none; padding: 0; height: 1fr; background: $background;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        OptionList > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
        #context { height: auto; max-height: 10; border-top: solid $border-blurred; }
        #said { height: 1; text-style: dim; }
    }
    """

    def __init__(self, desk: ActionScreen, query: str = "") -> None:
        super().__init__()
        self._session = desk.session
        self._shown = desk.shown
        self._desk = desk
        self._input = Input(
            query, placeholder='Words, "words in a row", begin*', max_length=_LONGEST_QUERY, select_on_focus=False
        )
        where = placed(desk.shown.title[:33], keep="") if desk.shown is not None else ""
        self._only_here = TickBox(Content(f"Only in {where}"))
        self._results = OptionList(markup=False)
        self._results.can_focus = False
        self._nearby = Static(id="context", markup=False)
        self._said = Static("Enter: search   Tab: where   Esc: back", id="said", markup=False)
        self._asked: tuple[str, LocalConversation | None] | None = None
        self._hits: list[SearchHit] = []
        self._before: int | None = None

    def compose(self) -> ComposeResult:
        """What to look for, what was found, what is around it."""
        with Vertical():
            yield Static("Search", id="heading")
            yield self._input
            if self._shown is not None:
                yield self._only_here
            yield self._results
            yield self._nearby
            yield self._said

    def on_mount(self) -> None:
        """Look at once for what was asked for already."""
        self._nearby.display = False
        if self._input.value:
            self._look()

    @property
    def _where(self) -> LocalConversation | None:
        return self._shown if self._only_here.value else None

    def _say(self, text: str) -> None:
        self._said.update(placed(text[:300], keep=""))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        question = (self._input.value.strip(), self._where)
        chosen = self._results.highlighted_option
        if question == self._asked and chosen is not None and chosen.id is not None:
            self._choose(chosen.id)
        elif question[0]:
            self._look()

    @on(TickBox.Changed)
    def _elsewhere(self) -> None:
        if self._asked is not None:
            self._look()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_id is not None:
            self._choose(event.option_id)

    def _choose(self, key: str) -> None:
        if key == _MORE:
            self._look(more=True)
        else:
            self.dismiss(self._hits[int(key)])

    @work(exclusive=True)
    async def _look(self, more: bool = False) -> None:
        """Ask the server, and show what it has found."""
        query, where = self._input.value.strip(), self._where
        self._asked = query, where
        self._say("Searching \u2026")
        found = await self._desk.answer(self._session.search(query, where, self._before if more else None))
        if found is None:
            self._asked = None
            self._say("Nothing was searched. Enter tries again.")
            return
        first = len(self._hits) if more else 0
        self._hits = [*self._hits[:first], *found.found]
        self._before = found.before
        words = words_of(query)
        options = [Option(result(hit, words), str(index)) for index, hit in enumerate(self._hits)]
        if found.before is not None:
            options.append(Option(Content.styled("Older ones \u2026", "bold"), _MORE))
        self._results.set_options(options)
        self._results.highlighted = min(first, len(options) - 1) if options else None
        count = f"{len(self._hits)} found" + (", and there may be more" if found.before is not None else "")
        self._say(
            f"{count}.   Enter: go there   \u2191 \u2193: another   Esc: back" if options else "Nothing was found."
        )
        self._show_context()

    def action_move(self, steps: int) -> None:
        """Choose another result."""
        self._results.action_cursor_up() if steps < 0 else self._results.action_cursor_down()

    @on(OptionList.OptionHighlighted)
    @work(exclusive=True, group="context")
    async def _show_context(self) -> None:
        """Show what was said around the result that is chosen."""
        chosen = self._results.highlighted_option
        index = int(chosen.id) if chosen is not None and chosen.id is not None and chosen.id.isdigit() else -1
        self._nearby.display = 0 <= index < len(self._hits) and self.size.height >= 16
        if self._nearby.display:
            hit = self._hits[index]
            self._show_said([hit.message], hit)
            with contextlib.suppress(TwotickError):  # then there is no context
                self._show_said(await self._session.around(hit, _AROUND), hit)

    def _show_said(self, messages: list[LocalMessage], hit: SearchHit) -> None:
        width = max(10, self.size.width - 3)
        self._nearby.update(
            Content("\n").join(
                Content.styled(shortened(_said(each), width), "bold" if each.place == hit.message.place else "dim")
                for each in messages
            )
        )


class ExcerptScreen(ModalScreen[None]):
    """What was said around something that was found, too long ago to be loaded with all that was said since.

    Args:
        desk: for whom.
        hit: what was found.
        messages: it, and what was said before and after it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back", show=False)]
    DEFAULT_CSS = """
    ExcerptScreen {
        background: $background;
        & > Vertical { height: 1fr; background: $background; }
        #heading { height: 1; padding: 0 1; text-style: bold; }
        #below { height: 1; padding: 0 1; text-style: dim; }
    }
    """

    def __init__(self, desk: ActionScreen, hit: SearchHit, messages: list[LocalMessage]) -> None:
        super().__init__()
        self._hit = hit
        self._said = LocalConversation(hit.conversation.key, hit.conversation.name, messages)
        self._list = MessageList(desk.session.conversations)

    def compose(self) -> ComposeResult:
        """The messages."""
        when = f"{self._hit.message.time.astimezone():%d %b %Y}"
        with Vertical():
            yield Static(f"{placed(self._said.title[:33], keep='')}, {when}", id="heading", markup=False)
            yield self._list
            yield Static("Esc: back to the newest messages", id="below", markup=False)

    def on_mount(self) -> None:
        """Go to what was found."""
        self._list.show(self._said, None)
        self._list.focus()
        self.call_after_refresh(self._go)

    def _go(self) -> None:
        found = next((each for each in self._said.messages if each.place == self._hit.message.place), None)
        if found is not None:
            self._list.go_to(found)


def _said(message: LocalMessage) -> str:
    if message.event is not None:
        return summary(message)
    return f"{placed(message.sender[:33], keep='')}: {summary(message)}"


def words_of(query: str) -> list[str]:
    """The words, and the words in a row, of a query, in lower case."""
    found = re.findall(r'"([^"]*)"|([^\s"]+)', query)
    return [word for each in found if (word := (each[0] or each[1]).strip("* ").lower())]


def result(hit: SearchHit, words: list[str]) -> Content:
    """How something that was found is shown: where and by whom it was said, and the part with what was looked for."""
    message = hit.message
    where = placed(hit.conversation.title[:33], keep="")
    who = placed(message.sender[:33], keep="")
    text = excerpt(message.text, words) if message.text else summary(message)
    lower = text.lower()
    content = Content(text)
    for word in words:
        at = lower.find(word)
        while at >= 0 and len(lower) == len(text):
            content = content.stylize("bold underline", at, at + len(word))
            at = lower.find(word, at + len(word))
    heading = Content.assemble((where, "bold"), (f"  {who}  {message.time.astimezone():%d %b %Y %H:%M}", "dim"))
    return Content("\n").join([heading, Content.assemble("  ", content)])


def excerpt(text: str, words: list[str]) -> str:
    """The part of a text around the first of some words, safe, in one line."""
    lower = text.lower()
    places = [at for word in words if (at := lower.find(word)) >= 0] if len(lower) == len(text) else []
    start = max(0, min(places, default=0) - _BEFORE_WORD)
    part = " ".join(text[start : start + 200].split())
    return placed(("\u2026" if start else "") + part, keep="")


class SearchActions(MessageActions):
    """Looking for what was said."""

    @work
    async def action_search(self, argument: str = "") -> None:
        """Search, and go to what was found."""
        hit = await self.ask(SearchScreen(self, argument))
        if hit is None or await self.go_to_message(hit.conversation, hit.message.sender, hit.message.id):
            return
        around = await self.answer(self.session.around(hit, _EXCERPT))
        if around:
            self.app.push_screen(ExcerptScreen(self, hit, around))
