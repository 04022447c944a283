"""Actions that move between conversations and parts of the screen."""

from collections.abc import Iterable

from rich.cells import cell_len
from textual.content import Content

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.box import columns_inside
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.widgets.people import person_parts, presence_sign
from twotick.ui.app.widgets.sidebar import unread_text
from twotick.ui.text import user_name
from twotick.ui.texts import t
from twotick.wire import is_name, is_room


class NavigationActions:
    """Go to conversations, messages and the list of conversations."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._conversations = screen.session.conversations

    async def go_to(self, argument: str) -> None:
        """Open a conversation, or start one."""
        name = argument.removeprefix("@")
        if not name:
            conversations = sorted(self._conversations, key=lambda each: each.closed)
            choices = conversation_choices(self._screen, conversations)
            name = await self._screen.show_dialog(
                ChooseDialog(t("Go to"), choices, t("A name, a #room, or ALL for everyone"), _new_choice)
            )
        if not name:
            return
        if is_name(name.encode(errors="replace")) or name.upper() == "ALL" or self._conversations.find(name):
            self._screen.open(name)
        elif is_room(name.encode(errors="replace")) and self._screen.session.is_member:
            self._screen.run_command("join", name)
        else:
            self._screen.say(t("{name} is not a valid name. Use letters and digits.", name=name[:40]), problem=True)

    def step(self, steps: int) -> None:
        """Open the conversation so many steps below in the list; negative numbers mean above."""
        conversations = self._conversations.listed
        if conversations:
            shown = self._screen.shown
            index = conversations.index(shown) if shown in conversations else -1
            self._screen.open(conversations[(index + steps) % len(conversations)].name)

    async def close(self) -> None:
        """Close the conversation, and show the list."""
        shown = self._screen.shown
        if shown is not None:
            self._screen.show_list()
            await self._screen.succeeds(self._screen.session.set_closed(shown, True))

    async def pin(self) -> None:
        """Keep the conversation at the top of the list, or no longer."""
        shown = self._screen.shown
        if shown is not None:
            await self._screen.succeeds(self._screen.session.set_pinned(shown, not shown.pinned))

    def message(self, argument: str) -> None:
        """Send a message to a user or a room, and show that conversation."""
        name, _, text = argument.partition(" ")
        name = name.removeprefix("@")
        encoded = name.encode(errors="replace")
        if not (is_name(encoded) or is_room(encoded) or name.upper() == "ALL") or not text.strip():
            self._screen.say(t("Write it like this: /msg NAME TEXT"), problem=True)
            return
        known = self._conversations.find(name)
        if is_room(encoded) and (known is None or known.left):
            self._screen.say(t("You are not in {name}. Join it first: /join {name}", name=name[:40]), problem=True)
            return
        self._screen.open(name)
        self._screen.send(text)

    def act(self, argument: str) -> None:
        """Say what the user does. Other clients show it as it was typed: `/me waves`."""
        if self._screen.shown is None or not argument:
            self._screen.say(t("Open a conversation, and write it like this: /me waves"), problem=True)
            return
        self._screen.send(f"/me {argument}")

    def newest(self) -> None:
        """Scroll to the newest message."""
        self._screen.messages.scroll_to_end()

    async def first_unread(self) -> None:
        """Go to the first unread message of the conversation, and load older messages if needed."""
        shown = self._screen.shown
        if shown is None:
            return
        messages = self._screen.messages
        if shown.unread:
            messages.mark_new(await self._screen.ask_server(self._screen.session.load_first_unread(shown)))
        found = messages.new
        if found is None or not self._screen.messages.go_to(found, select=False):
            self._screen.say(t("No unread messages in this conversation. F3 goes to one that has some."))

    def unread(self) -> None:
        """Open a conversation with unread messages. Mentions come first, muted conversations last."""
        unread = [each for each in self._conversations if each.unread and each is not self._screen.shown]
        if unread:
            self._screen.open(max(unread, key=lambda each: (each.mentions > 0, not each.muted)).name)
        else:
            self._screen.say(t("No unread messages."))

    def switch_focus(self) -> None:
        """Move the focus from the composer to the messages, or back to the composer."""
        screen = self._screen
        if screen.composer.has_focus:
            screen.messages.focus()
        else:
            screen.write()

    def toggle_sidebar(self) -> None:
        """Show or hide the list of conversations."""
        screen = self._screen
        if not screen.has_class("-narrow"):
            screen.toggle_class("-no-list")
            screen.keep_choice("list", not screen.has_class("-no-list"))
            return
        screen.toggle_class("-list")
        if screen.has_class("-list") or screen.shown is None:
            screen.sidebar.focus()
        else:
            screen.composer.focus()


def conversation_choices(screen: ActionScreen, conversations: Iterable[LocalConversation]) -> list[Choice]:
    """Return conversations as items to choose."""
    return [_conversation_choice(screen, each) for each in conversations]


def _conversation_choice(screen: ActionScreen, conversation: LocalConversation) -> Choice:
    unread = unread_text(conversation)
    unread = f"  {unread}" if unread else ""
    if conversation.kind is ConversationKind.DIRECT:
        choice = user_choice(screen, conversation.name, conversation.presence, unread)
        return choice._replace(found_by=f"{conversation.title} {choice.found_by}")
    title = user_name(conversation.title)
    sign = presence_sign(conversation.presence)
    return Choice(
        conversation.name,
        Content.assemble(sign, " ", title, (unread, "bold")),
        f"{conversation.title} {conversation.key}",
    )


def user_choice(
    screen: ActionScreen, name: str, presence: UserPresence | None, right: str = "", role: str = ""
) -> Choice:
    """Return a user as an item to choose, found by the display name, too.

    Args:
        screen: the main screen.
        name: the name of the user.
        presence: the presence; None if it is unknown.
        right: what stands at the end of the line.
        role: the role in a room; empty in lists without roles.
    """
    profiles = screen.session.conversations.profiles
    columns = columns_inside(screen.size.width) - 2 - cell_len(right)
    who = person_parts(profiles.person(name), columns, column=min(16, columns // 3), role=role)
    shown = Content.assemble(presence_sign(presence), " ", *who, (right, "bold"))
    return Choice(name, shown, f"{name} {role} {profiles.of(name).display}")


def _new_choice(typed: str) -> Choice | None:
    """Return the typed name as a new conversation; None if it is not a valid name."""
    if is_room(typed.encode(errors="replace")):
        return Choice(typed, Content.assemble((t("Join") + " ", "dim"), typed), typed)
    if typed.lower() == "all":
        return Choice("ALL", Content(t("Write to everyone")), typed)
    if is_name(typed.encode(errors="replace")):
        return Choice(typed, Content.assemble((t("Write to") + " ", "dim"), typed), typed)
    return None
