"""The screen that searches messages (rule 14.5)."""

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import ClassVar, TypeAlias

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from twotick.client.errors import TwotickError
from twotick.ui.app.dialogs.box import keys_hint
from twotick.ui.app.dialogs.tick import TickBox
from twotick.ui.app.layout.messages import said, summary, writer
from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.session.base import ChatSession, SearchHit, SearchResults
from twotick.ui.people import ProfileBook
from twotick.ui.searching import FILTERS, LONGEST, SearchText, SearchTextError, parse_search
from twotick.ui.text import for_screen
from twotick.ui.texts import plural, short_date, t

_MORE = "more"
_BEFORE_WORD = 24
"""Characters that are shown before the first word of the query."""

_NAME = re.compile(r"(?:^|\s)(from|in):@?(#?\w+|#)$", re.IGNORECASE)
"""A name that is being typed after a filter."""

_AROUND = 3
"""Messages that are shown before and after the highlighted result."""


Find: TypeAlias = "Callable[[SearchText, LocalConversation | None, int | None], Awaitable[SearchResults | None]]"
"""Searches for words and filters in one (or all) conversations, from a position on (`SearchResults.before`)."""


class SearchScreen(ModalScreen[SearchHit | None]):
    """Searches messages. The result is the message that the user chooses; None if the user cancels.

    Args:
        session: the session of the user.
        shown: the conversation that is shown, to which the search can be limited; None if there is none.
        find: searches in one or all conversations; returns None if that fails.
        query: the initial text, which is searched for at once; empty to let the user type one.
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
        #filters { height: auto; text-style: dim; }
    }
    """

    def __init__(self, session: ChatSession, shown: LocalConversation | None, find: Find, query: str) -> None:
        super().__init__()
        self._session = session
        self._profiles = session.conversations.profiles
        self._shown = shown
        self._find = find
        self._input = Input(
            query,
            placeholder=t('Words, or "an exact phrase"'),
            max_length=LONGEST,
            select_on_focus=False,
            suggester=NameSuggester(session.conversations),
        )
        where = for_screen(shown.title[:33], keep="") if shown is not None else ""
        self._only_here = TickBox(Content(t("Only in {where}", where=where)))
        self._results = OptionList(markup=False)
        self._results.can_focus = False
        self._nearby = Static(id="context", markup=False)
        self._said = Static(id="said", markup=False)
        self._asked: tuple[str, LocalConversation | None] | None = None
        self._hits: list[SearchHit] = []
        self._before: int | None = None

    def compose(self) -> ComposeResult:
        """Create the query, the results, and the messages around the highlighted result."""
        with Vertical():
            yield Static(t("Search"), id="heading")
            yield self._input
            if self._shown is not None:
                yield self._only_here
            yield Static(t("Filters: {filters}", filters=FILTERS), id="filters", markup=False)
            yield self._results
            yield self._nearby
            self._say(t("Enter: search   Tab: next   Esc: cancel"))
            yield self._said

    def on_mount(self) -> None:
        """Search at once if there is a query."""
        self._nearby.display = False
        if self._input.value:
            self._search()

    @property
    def _where(self) -> LocalConversation | None:
        return self._shown if self._only_here.value else None

    def _say(self, text: str) -> None:
        self._said.update(for_screen(keys_hint(text[:300], self, whole=True), keep=""))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        question = (self._input.value.strip(), self._where)
        chosen = self._results.highlighted_option
        if question == self._asked and chosen is not None and chosen.id is not None:
            self._choose(chosen.id)
        elif question[0]:
            self._search()

    @on(TickBox.Changed)
    def _elsewhere(self) -> None:
        if self._asked is not None:
            self._search()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_id is not None:
            self._choose(event.option_id)

    def _choose(self, key: str) -> None:
        if key == _MORE:
            self._search(more=True)
        else:
            self.dismiss(self._hits[int(key)])

    @work(exclusive=True)
    async def _search(self, more: bool = False) -> None:
        """Search, and show the results."""
        text, where = self._input.value.strip(), self._where
        try:
            asked = parse_search(text, self._session.name, datetime.now())
        except SearchTextError as error:
            self._asked = None
            self._say(_sentence(str(error)))
            return
        self._asked = text, where
        self._say(t("Searching \u2026"))
        found = await self._find(asked, where, self._before if more else None)
        if found is None:
            self._asked = None
            self._say(t("The search failed. Enter: try again"))
            return
        first = len(self._hits) if more else 0
        self._hits = [*self._hits[:first], *found.found]
        self._before = found.before
        hits = enumerate(self._hits)
        options = [Option(result(hit, asked.words, self._profiles), str(index)) for index, hit in hits]
        if found.before is not None:
            options.append(Option(Content.styled(t("Older messages \u2026"), "bold"), _MORE))
        self._results.set_options(options)
        self._results.highlighted = min(first, len(options) - 1) if options else None
        count = plural("1 found", "{n} found", len(self._hits))
        if found.before is not None:
            count = plural("1 found, there may be more", "{n} found, there may be more", len(self._hits))
        self._say(
            t("{count}.   Enter: go there   \u2191 \u2193: select   Esc: cancel", count=count)
            if options
            else t("No messages found.")
        )
        self._show_context()

    def action_move(self, steps: int) -> None:
        """Highlight another result."""
        self._results.action_cursor_up() if steps < 0 else self._results.action_cursor_down()

    @on(OptionList.OptionHighlighted)
    @work(exclusive=True, group="context")
    async def _show_context(self) -> None:
        """Show the messages around the highlighted result."""
        chosen = self._results.highlighted_option
        index = int(chosen.id) if chosen is not None and chosen.id is not None and chosen.id.isdigit() else -1
        self._nearby.display = 0 <= index < len(self._hits) and self.size.height >= 16
        if self._nearby.display:
            hit = self._hits[index]
            self._show_said([hit.message], hit)
            with contextlib.suppress(TwotickError):  # only the result itself is shown then
                self._show_said(await self._session.around(hit, _AROUND), hit)

    def _show_said(self, messages: list[LocalMessage], hit: SearchHit) -> None:
        width = max(10, self.size.width - 3)
        texts = [shortened(_said(each, self._profiles), width) for each in messages]
        styles = ["bold" if each.place == hit.message.place else "dim" for each in messages]
        lines = [Content.styled(text, style) for text, style in zip(texts, styles, strict=True)]
        self._nearby.update(Content("\n").join(lines))


def _said(message: LocalMessage, profiles: ProfileBook) -> str:
    if message.event is not None:
        return summary(message)
    return f"{writer(message, profiles)}: {summary(message)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


class NameSuggester(Suggester):
    """Suggests how a name after `from:` or `in:` goes on; the key → accepts it.

    Args:
        conversations: whose names are suggested.
    """

    def __init__(self, conversations: ConversationRegistry) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._conversations = conversations

    async def get_suggestion(self, value: str) -> str | None:
        """Return a text with the whole name; None if there is none."""
        found = _NAME.search(value)
        if found is None:
            return None
        typed, is_place = found[2], found[1].lower() == "in"
        names = [each.name for each in self._conversations if is_place or each.kind is ConversationKind.DIRECT]
        fitting = (name for name in names if name.lower().startswith(typed.lower()))
        name = next(fitting, typed)
        return None if name.lower() == typed.lower() else value + name[len(typed) :]


def result(hit: SearchHit, words: Sequence[str], profiles: ProfileBook) -> Content:
    """Return a result in two lines: conversation, sender and time; and the text around some words."""
    message = hit.message
    where = for_screen(hit.conversation.title[:33], keep="")
    who = writer(message, profiles)
    file = "" if message.file is None or message.deleted is not None else f"[{message.file.name}]"
    text = excerpt(f"{said(message)} {file}".strip(), words) if message.text or file else summary(message)
    lower = text.lower()
    content = Content(text)
    for word in map(str.lower, words):
        at = lower.find(word) if word else -1
        while at >= 0 and len(lower) == len(text):
            content = content.stylize("bold underline", at, at + len(word))
            at = lower.find(word, at + len(word))
    when = message.time.astimezone()
    heading = Content.assemble((where, "bold"), (f"  {who}  {short_date(when)} {when:%H:%M}", "dim"))
    return Content("\n").join([heading, Content.assemble("  ", content)])


def excerpt(text: str, words: Sequence[str]) -> str:
    """Return the part of a text around the first of some words in one line, safe for the terminal."""
    lower = text.lower()
    places = [at for word in words if (at := lower.find(word.lower())) >= 0] if len(lower) == len(text) else []
    start = max(0, min(places, default=0) - _BEFORE_WORD)
    part = " ".join(text[start : start + 200].split())
    return for_screen(("\u2026" if start else "") + part, keep="")
