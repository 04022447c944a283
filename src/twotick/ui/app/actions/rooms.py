"""What can be done with rooms (docs/protocol.md, section 12)."""

from rich.cells import set_cell_size
from textual import work
from textual.content import Content

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.ask import TextDialog
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.new_room import NewRoomDialog
from twotick.ui.app.layout.messages import one_line
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.widgets.sidebar import dot
from twotick.ui.text import placed
from twotick.wire import is_name, is_room

_ROLES = {
    "member": "Member: reads and writes",
    "moderator": "Moderator: also invites, removes, deletes, sets the topic",
    "owner": "Owner: you are a moderator then",
}


class RoomActions(ActionScreen):
    """Rooms: find, make, join and leave them; who is in them, and as what."""

    # Finding and making

    @work
    async def action_rooms(self) -> None:
        """Browse rooms, and join or open one."""
        rooms = await self.answer(self.session.rooms())
        if rooms is None:
            return
        rooms.sort(key=lambda each: (not each.invited, each.role != "none", each.name.lower()))
        chosen = await self.ask(
            ChooseDialog(
                "Rooms", [_choice_of_room(each) for each in rooms], "Type to find one, or a new name", _new_room
            )
        )
        if chosen is None:
            return
        known = next((each for each in rooms if each.name.lower() == chosen.lower()), None)
        if known is None:
            await self._make(chosen)
        elif known.role != "none":
            self.open(known.name)
        else:
            await self._join(known.name)

    @work
    async def action_join(self, argument: str = "") -> None:
        """Join a room by its name."""
        name = argument or await self.ask(TextDialog("Join a room", "#", "#team", 33))
        if name:
            await self._join(name if name.startswith("#") else f"#{name}")

    async def _join(self, name: str) -> None:
        if not is_room(name.encode(errors="replace")):
            self.say(f"No room can have the name {name[:40]}.", problem=True)
            return
        room = await self.answer(self.session.join(name))
        if room is not None:
            self.open(room.name)

    @work
    async def action_new_room(self, argument: str = "") -> None:
        """Make a room."""
        await self._make(argument)

    async def _make(self, name: str) -> None:
        wanted = await self.ask(NewRoomDialog(name))
        if wanted is None:
            return
        access = "public" if wanted.public else "private"
        room = await self.answer(self.session.create_room(wanted.name, access, wanted.topic))
        if room is not None:
            self.open(room.name)

    async def accept_invitation(self, name: str) -> None:
        """Join a room to which one was invited, if one still wants to."""
        if await self.ask(ConfirmDialog("Join this room?", one_line(name)[:40])):
            await self._join(name)

    # The room that is shown

    @work
    async def action_members(self) -> None:
        """Show who is in the room, and write to one of them."""
        chosen = await self._member_of_room("Members", others=False)
        if chosen is not None and chosen.lower() != self.session.name.lower():
            self.open(chosen)

    async def _member_of_room(self, title: str, *, others: bool = True) -> str | None:
        if self.shown is None:
            return None
        members = await self.answer(self.session.members(self.shown))
        if members is None:
            return None
        me = self.session.name.lower()
        presence = self.session.conversations.presence
        choices = [
            _choice_of_member(each._replace(presence=presence(each.name) or each.presence))
            for each in members
            if not others or each.name.lower() != me
        ]
        return await self.ask(ChooseDialog(title, choices))

    @work
    async def action_topic(self, argument: str = "") -> None:
        """Say what the room is about."""
        room = self.shown
        if room is not None:
            topic = argument or await self.ask(
                TextDialog("Topic", room.topic, "What the room is about", 250, empty=True)
            )
            if topic is not None:
                await self.done(self.session.change(room, topic=topic))

    @work
    async def action_access(self) -> None:
        """Say who may join the room."""
        room = self.shown
        if room is None:
            return
        choices = [
            Choice("public", Content("Everybody may find and join it, and read what is said from now on"), "everybody"),
            Choice("private", Content("Who is invited; nobody else learns of it"), "private invited"),
        ]
        access = await self.ask(ChooseDialog("Who may join", choices))
        if access is not None and access != room.access:
            await self.done(self.session.change(room, access=access))

    @work
    async def action_invite(self, argument: str = "") -> None:
        """Let somebody join the room."""
        room = self.shown
        if room is None:
            return
        people = [each for each in self.session.conversations if each.kind is ConversationKind.DIRECT]
        name = _named(argument) or await self.ask(
            ChooseDialog(
                f"Invite to {room.title[:33]}", [_choice_of_person(each) for each in people], "A name", _somebody
            )
        )
        if name and await self.done(self.session.invite(room, name)):
            self.say(f"{name[:33]} is invited to {room.title}.")

    @work
    async def action_remove(self, argument: str = "") -> None:
        """Remove somebody from the room."""
        room = self.shown
        name = _named(argument) or await self._member_of_room("Remove")
        if room is None or not name:
            return
        if await self.ask(
            ConfirmDialog("Remove from the room?", placed(f"{name[:33]}, from {room.title[:33]}", keep=""))
        ):
            await self.done(self.session.remove(room, name))

    @work
    async def action_appoint(self, argument: str = "") -> None:
        """Give somebody in the room a role."""
        room = self.shown
        name, _, role = argument.partition(" ")
        name = _named(name) or await self._member_of_room("Appoint")
        if room is None or not name:
            return
        if role.strip() not in _ROLES:
            choices = [Choice(each, Content(text), text) for each, text in _ROLES.items()]
            role = await self.ask(ChooseDialog(f"Appoint {name[:33]}", choices)) or ""
        if role.strip():
            await self.done(self.session.appoint(room, name, role.strip()))

    @work
    async def action_leave_room(self) -> None:
        """Leave the room, if that is meant."""
        room = self.shown
        if room is None:
            return
        what = f"{room.title[:33]}: what is said there from now on will not come to you."
        if room.access == "private":
            what += " To come back, somebody must invite you."
        if await self.ask(ConfirmDialog("Leave the room?", placed(what, keep=""))):
            await self.done(self.session.leave(room))


def _named(argument: str) -> str:
    return argument.strip().removeprefix("@")


def _choice_of_room(room: RoomListing) -> Choice:
    name = placed(room.name[:33], keep="")
    if room.invited:
        state = "you are invited"
    elif room.role != "none":
        state = "you are in it"
    else:
        state = f"{room.members} members" if room.members != 1 else "1 member"
    shown = Content.assemble((name, "bold"), f"  {state}", (f"  {one_line(room.topic)}", "dim"))
    return Choice(room.name, shown, f"{room.name} {room.topic}")


def _new_room(typed: str) -> Choice | None:
    name = "#" + typed.removeprefix("#")
    if not is_room(name.encode(errors="replace")):
        return None
    return Choice(name, Content.assemble(("Make the room ", "dim"), name), name)


def _choice_of_member(member: MemberListing) -> Choice:
    name = placed(member.name[:33], keep="")
    role = "" if member.role == "member" else placed(member.role[:10], keep="")
    shown = Content.assemble(dot(member.presence), " ", set_cell_size(name, 34), (role, "dim"))
    return Choice(member.name, shown, f"{member.name} {role}")


def _choice_of_person(conversation: LocalConversation) -> Choice:
    name = placed(conversation.name[:33], keep="")
    return Choice(conversation.name, Content.assemble(dot(conversation.presence), " ", name), name)


def _somebody(typed: str) -> Choice | None:
    return Choice(typed, Content(typed), typed) if is_name(typed.encode(errors="replace")) else None
