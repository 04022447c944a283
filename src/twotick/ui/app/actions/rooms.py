"""Actions on rooms (docs/protocol.md, section 12)."""

from textual.content import Content

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.navigation import user_choice
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.new_room import NewRoomDialog
from twotick.ui.app.dialogs.text import TextDialog
from twotick.ui.app.model.conversations import ConversationKind
from twotick.ui.app.model.rooms import GUEST, RoomListing
from twotick.ui.app.widgets.people import role_name
from twotick.ui.people import Person
from twotick.ui.text import for_screen, one_line, user_name
from twotick.ui.texts import later, plural, t
from twotick.wire import is_name, is_room

_ROLES = {
    "member": later("Member: can read and write"),
    "moderator": later("Moderator: can also invite, remove, delete messages, set the topic"),
    "owner": later("Owner: you become a moderator"),
}


class RoomActions:
    """Find, create, join, change and leave rooms."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._session = screen.session

    # Finding and creating rooms

    async def browse(self) -> None:
        """Show the list of rooms; join or open the one that the user chooses."""
        rooms = await self._screen.ask_server(self._session.rooms())
        if rooms is None:
            return
        rooms.sort(key=lambda each: (not each.invited, each.role != "none", each.name.lower()))
        choices = [_room_choice(each) for each in rooms]
        chosen = await self._screen.show_dialog(
            ChooseDialog(t("Rooms"), choices, t("Type to find a room or to name a new one"), _new_room_choice)
        )
        if chosen is None:
            return
        known = next((each for each in rooms if each.name.lower() == chosen.lower()), None)
        if known is None:
            await self.create(chosen)
        elif known.role != "none":
            self._screen.open(known.name)
        else:
            await self._join(known.name)

    async def join(self, argument: str) -> None:
        """Join a room by its name."""
        name = argument or await self._screen.show_dialog(TextDialog(t("Join a room"), "#", "#team", 33))
        if name:
            await self._join(name if name.startswith("#") else f"#{name}")

    async def _join(self, name: str) -> None:
        if not is_room(name.encode(errors="replace")):
            self._screen.say(
                t("{name} is not a valid room name. Use letters, digits, - and _.", name=name[:40]), problem=True
            )
            return
        room = await self._screen.ask_server(self._session.join(name))
        if room is not None:
            self._screen.open(room.name)

    async def create(self, name: str) -> None:
        """Create a room."""
        wanted = await self._screen.show_dialog(NewRoomDialog(name))
        if wanted is None:
            return
        access = "public" if wanted.public else "private"
        room = await self._screen.ask_server(self._session.create_room(wanted.name, access, wanted.topic))
        if room is not None:
            self._screen.open(room.name)

    async def accept_invitation(self, name: str) -> None:
        """Join the room of an invitation if the user confirms."""
        if await self._screen.show_dialog(
            ConfirmDialog(t("Join this room?"), one_line(name)[:40], t("Join"), harmless=True)
        ):
            await self._join(name)

    # The room that is shown

    async def members(self) -> None:
        """Show the members of the room; open the conversation with the one that the user chooses."""
        chosen = await self._choose_member(t("Members"), others=False)
        if chosen is not None and chosen.lower() != self._session.name.lower():
            self._screen.open(chosen)

    async def _choose_member(self, title: str, *, others: bool = True) -> str | None:
        if self._screen.shown is None:
            return None
        members = await self._screen.ask_server(self._session.members(self._screen.shown))
        if members is None:
            return None
        me = self._session.name.lower()
        presence = self._session.conversations.presence
        choices: list[Choice] = []
        for each in members:
            if not others or each.name.lower() != me:
                known = None if each.role == GUEST else presence(each.name)
                choices.append(user_choice(self._screen, each.name, known or each.presence, role=role_name(each.role)))
        return await self._screen.show_dialog(ChooseDialog(title, choices))

    def _person(self, name: str) -> Person:
        """Return how a user is written."""
        return self._session.conversations.profiles.person(name)

    async def set_topic(self, argument: str) -> None:
        """Change the topic of the room."""
        room = self._screen.shown
        if room is not None:
            dialog = TextDialog(t("Topic"), room.topic, t("What the room is about"), 250, allow_empty=True)
            topic = argument or await self._screen.show_dialog(dialog)
            if topic is not None:
                await self._screen.succeeds(self._session.change(room, topic=topic))

    async def set_access(self) -> None:
        """Change who may join the room: all members, guests too, or only those who are invited."""
        room = self._screen.shown
        if room is None:
            return
        choices = [
            _access_choice("public", t("Public: every member can find and join it")),
            _access_choice("guests", t("Public, also for guests: guests can join it, too")),
            _access_choice("private", t("Private: only invited members can find and join it")),
        ]
        access = await self._screen.show_dialog(ChooseDialog(t("Access"), choices, wrapped=True))
        if access is not None and access != room.access:
            await self._screen.succeeds(self._session.change(room, access=access))

    async def invite(self, argument: str) -> None:
        """Invite a user to the room."""
        room = self._screen.shown
        if room is None:
            return
        people = [each for each in self._session.conversations if each.kind is ConversationKind.DIRECT]
        choices = [user_choice(self._screen, each.name, each.presence) for each in people]
        name = _name(argument) or await self._screen.show_dialog(
            ChooseDialog(t("Invite to {title}", title=user_name(room.title)), choices, t("A name"), _other_user_choice)
        )
        if name and await self._screen.succeeds(self._session.invite(room, name)):
            self._screen.say(t("{name} is invited to {title}.", name=self._person(name), title=room.title))

    async def remove(self, argument: str) -> None:
        """Remove a member from the room if the user confirms."""
        room = self._screen.shown
        name = _name(argument) or await self._choose_member(t("Remove"))
        if room is None or not name:
            return
        what = t("{name}, from {title}", name=self._person(name), title=user_name(room.title))
        if await self._screen.show_dialog(ConfirmDialog(t("Remove from the room?"), what, t("Remove"))):
            await self._screen.succeeds(self._session.remove(room, name))

    async def change_role(self, argument: str) -> None:
        """Change the role of a member of the room."""
        room = self._screen.shown
        name, _, role = argument.partition(" ")
        name = _name(name) or await self._choose_member(t("Change role"))
        if room is None or not name:
            return
        if role.strip() not in _ROLES:
            choices = [Choice(each, Content(t(text)), t(text)) for each, text in _ROLES.items()]
            role = (
                await self._screen.show_dialog(
                    ChooseDialog(t("Role of {name}", name=self._person(name)), choices, wrapped=True)
                )
                or ""
            )
        if role.strip():
            await self._screen.succeeds(self._session.appoint(room, name, role.strip()))

    async def leave(self) -> None:
        """Leave the room if the user confirms."""
        room = self._screen.shown
        if room is None:
            return
        what = t("You will not receive new messages from {title}.", title=user_name(room.title))
        if room.access == "private":
            what += " " + t("To join it again, you need an invitation.")
        if await self._screen.show_dialog(ConfirmDialog(t("Leave the room?"), what, t("Leave"))):
            await self._screen.succeeds(self._session.leave(room))


def _name(argument: str) -> str:
    return argument.strip().removeprefix("@")


def _access_choice(access: str, text: str) -> Choice:
    return Choice(access, Content(text), f"{access} {text}")


def _room_choice(room: RoomListing) -> Choice:
    name = for_screen(room.name[:33], keep="")
    if room.invited:
        state = t("invited")
    elif room.role != "none":
        state = t("joined")
    else:
        state = plural("1 member", "{n} members", room.members)
    shown = Content.assemble((name, "bold"), f"  {state}", (f"  {one_line(room.topic)}", "dim"))
    return Choice(room.name, shown, f"{room.name} {room.topic}")


def _new_room_choice(typed: str) -> Choice | None:
    name = "#" + typed.removeprefix("#")
    if not is_room(name.encode(errors="replace")):
        return None
    return Choice(name, Content.assemble((t("Create the room") + " ", "dim"), name), name)


def _other_user_choice(typed: str) -> Choice | None:
    return Choice(typed, Content(typed), typed) if is_name(typed.encode(errors="replace")) else None
