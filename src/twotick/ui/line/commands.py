"""The commands of the line client: lines that begin with a slash, for members."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from twotick.client import (
    FileInfo,
    MemberClient,
    MemberMessage,
    Presence,
    Reference,
    Role,
    RoomInfo,
    SendOptions,
    TwotickError,
)
from twotick.ui.people import ProfileBook, UserProfile
from twotick.ui.searching import find, parse_search
from twotick.ui.shell.conversations import blocked_line, muted_line, reported_line
from twotick.ui.shell.describing import ROLES, file_label, line_of
from twotick.ui.shell.profile import profile_lines
from twotick.ui.shell.rooms import ACCESS, access_of, member_lines, others, person_line, room_line, set_access
from twotick.ui.shell.saving import save
from twotick.ui.shell.streams import on_a_terminal
from twotick.ui.text import visible

Send: TypeAlias = Callable[[str, bytes, SendOptions], Awaitable[None]]
"""Sends a message, and shows its receipt."""

_CONVERSATIONS = 1000
"""Most conversations whose last messages are remembered."""

_FOUND = 20
"""Most messages that /search and /history show."""

_HELD = 10.0
"""Seconds for which a deletion is held back on a terminal, so that it can be undone."""

_PRESENCES = {
    "here": (Presence.HERE, True),
    "away": (Presence.AWAY, True),
    "hidden": (None, False),
}
"""What a member can be to others: the presence, and whether it is shown."""

_LARGE = 1 << 20
"""Bytes from which on the progress of a file is shown."""

_WORDS = re.compile(r"/(\S*)\s*(.*)", re.DOTALL)
_PEER = re.compile(r"(?:@(\S+)|(#\S+))(?:\s+(.*))?", re.DOTALL)

_BASICS = (
    ("@bob hello", "send hello to bob; further lines go to bob, too"),
    ("/to bob", "let lines go to bob; /close: to no one"),
    ("/msg bob TEXT", "send one message; the current conversation stays"),
    ("/me TEXT", "say what you do: '/me waves'; '//x' sends /x"),
    ("/quit", "leave"),
)
_HELP = (
    _BASICS[0],
    ("/to #team", "let lines go to the room; /close: to no one"),
    ("/msg bob TEXT", "send this only; /me TEXT: say what you do; //x sends /x"),
    ("/nick NAME", "your display name; /about TEXT; /status away; /profile"),
    ("/rooms", "list rooms; /join #team; /leave #team"),
    ("/new #team [TOPIC]", "create a room; '/new public #team': all may join"),
    ("/invite #team carol", "invite carol; /remove #team carol removes her"),
    ("/topic [TEXT]", "show or change it; /access public; /appoint carol owner"),
    ("/members", "list the members of the room; /who: the users online"),
    ("/mute @bob", "no notifications; /unmute @bob; /mute lists the muted"),
    ("/block @bob", "block bob; /unblock @bob; /block lists the blocked"),
    ("/report TEXT", "report the last message you received to the operator"),
    ("/reply TEXT", "answer the last message to you; /thread: all answers"),
    ("/forward @carol", "send it on to carol; /react EMOJI: react, or no longer"),
    ("/pin", "pin it for all; /unpin; /pins lists the pinned messages"),
    ("/edit TEXT", "change your last message; /delete, then /undo; /receipts"),
    ("/file @bob PATH", "send a file; /save [FOLDER] saves the last one"),
    ("/history [@bob]", "show the last messages"),
    ("/search WORDS", 'find; "A PHRASE" from:bob in:#team after:7d has:file'),
    _BASICS[4],
)
_ABOUT_HELP = "@bob or #team may follow a command; otherwise it is about the current one."


GUEST_COMMANDS = ("/close", "/me", "/msg", "/quit", "/to")
"""The commands that need no server."""


def clock(time: datetime | None) -> str:
    """Return the time of a message to show before it on a terminal, with the date unless it is today's."""
    if time is None or not on_a_terminal():
        return ""
    local = time.astimezone()
    return local.strftime("%H:%M " if local.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M ")


def guest_help() -> list[str]:
    """Return the commands of guests, a line each."""
    return [f"{usage:<22} {what}" for usage, what in _BASICS]


class _WrongUsage(Exception):
    """A command is not valid; the text says why, and what to type."""


@dataclass(slots=True)
class _LastMessages:
    """The last messages of a conversation.

    Attributes:
        received: the last message from another user.
        sent: the Id of the last message from the member; empty if there is none.
        file: the last file from another user.
    """

    received: Reference | None = None
    sent: str = ""
    file: FileInfo | None = None


class Commands:
    """Runs commands, and remembers the messages that they refer to.

    Attributes:
        hides: tells whether a message must not be shown, because its sender is blocked.

    Args:
        me: the member.
        out: where to print results.
        send: sends a message.
        people: what users say of themselves.
        formatted: whether the effect of marks is shown (docs/formatting.md).
    """

    def __init__(
        self, me: MemberClient, out: Console, send: Send, people: ProfileBook, *, formatted: bool = True
    ) -> None:
        self._me = me
        self._people = people
        self._formatted = formatted
        self._out = out
        self._send = send
        self.hides: Callable[[MemberMessage], bool] = lambda _: False
        self._peer = ""  # the current conversation
        self._held: tuple[str, str] | None = None  # a deletion that can be undone: conversation and Id
        self._holding: asyncio.Task[None] | None = None
        self._known: OrderedDict[str, _LastMessages] = OrderedDict()  # by conversation; the latest one last
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "rooms": self._rooms,
            "join": self._join,
            "leave": self._leave,
            "create": self._create,
            "new": self._create,
            "invite": self._invite,
            "remove": self._remove,
            "topic": self._topic,
            "who": self._who,
            "members": self._members,
            "access": self._access,
            "appoint": self._appoint,
            "reply": self._reply,
            "thread": self._thread,
            "react": self._react,
            "forward": self._forward,
            "edit": self._edit,
            "delete": self._delete,
            "undo": self._undo,
            "receipts": self._receipts,
            "file": self._file,
            "save": self._save,
            "history": self._history,
            "search": self._search,
            "mute": self._mute,
            "unmute": self._unmute,
            "block": self._block,
            "unblock": self._unblock,
            "report": self._report,
            "pin": self._pin,
            "unpin": self._unpin,
            "pins": self._pins,
            "nick": self._nick,
            "status": self._status,
            "about": self._about_me,
            "profile": self._profile,
        }

    @property
    def words(self) -> list[str]:
        """The commands, each with its slash."""
        return sorted(f"/{word}" for word in self._commands)

    # Remembering messages

    def observe(self, message: MemberMessage) -> None:
        """Remember a message that was received, or sent from another device."""
        if not message.is_news or not message.id:
            return
        if message.outgoing:
            self.sent(message.recipient, message.id)
            return
        known = self._conversation(message.room or message.sender)
        known.received = Reference(message.sender, message.id)
        known.file = message.file or known.file

    def sent(self, peer: str, ident: str) -> None:
        """Remember a message that was sent."""
        self._conversation(peer).sent = ident

    def _conversation(self, peer: str) -> _LastMessages:
        known = self._known.setdefault(peer.lower(), _LastMessages())
        self._known.move_to_end(peer.lower())
        if len(self._known) > _CONVERSATIONS:
            self._known.popitem(last=False)
        return known

    def _about(self, text: str) -> tuple[str, _LastMessages, str]:
        """Return the conversation that a command refers to, its last messages, and the rest of the command."""
        peer, rest = _peer(text)
        peer = peer or self._peer
        if not peer:
            if not self._known:
                raise _WrongUsage("there are no messages yet")
            peer = next(reversed(self._known))
        return peer, self._known.get(peer.lower(), _LastMessages()), rest

    def line_of(self, message: MemberMessage) -> Text:
        """Return a message as it is shown: on a terminal with its time and the display name of its sender."""
        return line_of(message, self._people, prefix=clock(message.time), formatted=self._formatted)

    # Running commands

    async def run(self, line: str, peer: str = "") -> None:
        """Run a command, or print why it failed.

        Args:
            line: the command, with its slash.
            peer: the current conversation; empty for none.
        """
        self._peer = peer
        found = _WORDS.fullmatch(line)
        command = None if found is None else self._commands.get(found[1].lower())
        try:
            if found is None or command is None:
                raise _WrongUsage("there is no such command: /help lists them; '//x' sends /x")  # noqa: TRY301
            await command(found[2].strip())
        except (_WrongUsage, TwotickError, ValueError) as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _say(self, line: str) -> None:
        self._out.print(visible(line, keep=""))

    def _fail(self, problem: str) -> None:
        self._out.print(f"\u2717 {visible(problem, keep='')}")

    async def _help(self, text: str) -> None:
        for usage, what in _HELP:
            self._say(f"{usage:<22} {what}")
        self._say(_ABOUT_HELP)

    # Rooms

    async def _rooms(self, text: str) -> None:
        rooms = await self._me.rooms()
        for room in rooms:
            self._out.print(visible(room_line(room), keep=""))
        if not rooms:
            self._say("There are no rooms. '/create #team' creates one.")

    async def _join(self, text: str) -> None:
        room = await self._me.join_room(_room(text))
        self._say(f"You joined {room.name}, which has {others(room)}. Type '{room.name} hello' to write there.")

    async def _leave(self, text: str) -> None:
        name = _room(text or self._room_here())
        await self._me.leave_room(name)
        self._say(f"You left {name}.")

    async def _create(self, text: str) -> None:
        access, _, rest = text.partition(" ")
        name, _, topic = (rest if access in ACCESS else text).strip().partition(" ")
        public, guests = access in ("public", "guests"), access == "guests"
        room = await self._me.create_room(_room(name), public=public, guests=guests, topic=topic.strip())
        hint = "" if room.public else f": '/invite {room.name} carol' invites carol"
        self._say(f"You created {room.name}. It is {_access(room)}{hint}.")

    async def _invite(self, text: str) -> None:
        room, member = _room_and_member(text)
        await self._me.invite(room, member)
        self._say(f"{self._people.person(member)} was invited to {room}.")

    async def _remove(self, text: str) -> None:
        room, member = _room_and_member(text)
        await self._me.remove(room, member)
        self._say(f"{self._people.person(member)} was removed from {room}.")

    async def _members(self, text: str) -> None:
        await self._who(_room(text or self._room_here()))

    async def _access(self, text: str) -> None:
        access, _, name = text.rpartition(" ")[::-1] if text.startswith("#") else text.partition(" ")
        if access not in ACCESS:
            raise _WrongUsage("say private, public or guests, such as '/access #team public'")
        room = await set_access(self._me, _room(name.strip() or self._room_here()), access)
        self._say(f"{room.name} is {_access(room)} now.")

    async def _appoint(self, text: str) -> None:
        room, _, rest = text.partition(" ") if text.startswith("#") else (self._room_here(), "", text)
        match rest.split():
            case [member, ("member" | "moderator" | "owner") as role]:
                member = member.removeprefix("@")
                await self._me.appoint(_room(room), member, Role(role))
                self._say(f"{self._people.person(member)} is now {ROLES[Role(role)]} of {_room(room)}.")
            case _:
                raise _WrongUsage("name a member and a role, such as '/appoint #team carol moderator'")

    async def _topic(self, text: str) -> None:
        name, _, topic = (text or self._room_here()).partition(" ")
        name = _room(name)
        room = await (self._me.change_room(name, topic=topic.strip()) if topic.strip() else self._me.room(name))
        self._out.print(visible(f"{room.name}: {room.topic or 'no topic'}", keep=""))

    async def _who(self, text: str) -> None:
        if text:
            lines = await member_lines(self._me, _room(text), self._people)
        else:
            users = (await self._me.status()).users
            lines = [person_line(self._people.person(each.name), each.state) for each in users]
        for line in lines or ["No users are online that you may see."]:
            self._say(line)

    def _room_here(self) -> str:
        """Return the room that is the current conversation; empty if it is none."""
        return self._peer if self._peer.startswith("#") else ""

    # Profiles

    async def _nick(self, text: str) -> None:
        own = await self._me.set_profile(display=text)
        self._say(f"Others see {own.display} beside your name." if own.display else "You have no display name now.")

    async def _about_me(self, text: str) -> None:
        own = await self._me.set_profile(status=text)
        self._say(f"Your status is: {own.status}" if own.status else "You have no status now.")

    async def _status(self, text: str) -> None:
        """Set the presence, as in the app; or the status text, as before there was `/about`."""
        if text not in _PRESENCES:
            await self._about_me(text)
            return
        state, shown = _PRESENCES[text]
        await self._me.status(state, shown=shown)
        self._say("Others do not see whether you are here." if not shown else f"Others see you as {text}.")

    async def _profile(self, text: str) -> None:
        found = await self._me.profile(_one(text or self._peer))
        self._people.set(found.name, UserProfile(found.display, found.status))
        for line in profile_lines(found, self._people):
            self._say(line)

    # Messages

    async def _reply(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if known.received is None or not rest:
            raise _WrongUsage(
                f"there is no message from {peer} to reply to" if rest else "the text is missing: '/reply TEXT'"
            )
        await self._send(peer, rest.encode("utf-8", "surrogateescape"), {"reply_to": known.received})

    async def _thread(self, text: str) -> None:
        """Show the thread of the last message that was received."""
        peer, known, _ = self._about(text)
        message = self._received_from(peer, known, "show the thread of")
        found = await self._me.history(peer, limit=_FOUND, thread=message)
        self._show(found)
        if len(found) <= 1:
            self._say("There are no answers. '/reply TEXT' writes the first.")

    async def _react(self, text: str) -> None:
        peer, known, rest = self._about(text)
        message = self._received_from(peer, known, "react to")
        await self._me.react(peer, message.id, rest, message.sender)
        self._say("\u2713 reacted" if rest else "\u2713 reaction removed")

    async def _forward(self, text: str) -> None:
        """Send the last message on that was received in the current conversation, or in the first of two named ones."""
        *about, to = text.split() or [""]
        where = " ".join(about)
        if not to or _peer(where)[1]:
            raise _WrongUsage("name a user or a room to send the message on to: '/forward @carol'")
        peer, known, _ = self._about(where)
        message = self._received_from(peer, known, "send on")
        await self._send(to.removeprefix("@"), b"", {"forwards": message})

    async def _pin(self, text: str) -> None:
        peer, known, _ = self._about(text)
        message = self._received_from(peer, known, "pin")
        await self._me.pin(peer, message.id, message.sender)
        self._say("\u2713 pinned")

    async def _unpin(self, text: str) -> None:
        peer, known, _ = self._about(text)
        message = self._received_from(peer, known, "unpin")
        await self._me.unpin(peer, message.id, message.sender)
        self._say("\u2713 unpinned")

    async def _pins(self, text: str) -> None:
        peer, _, _ = self._about(text)
        pinned = await self._me.pins(peer)
        self._show(pinned[::-1])
        if not pinned:
            self._say(f"No messages are pinned in the conversation with {peer}.")

    def _received_from(self, peer: str, known: _LastMessages, what: str) -> Reference:
        """Return the last message that was received in a conversation."""
        if known.received is None:
            raise _WrongUsage(f"there is no message from {peer} to {what}")
        return known.received

    async def _edit(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if not rest:
            raise _WrongUsage("the text is missing: '/edit TEXT'")
        await self._me.edit(peer, self._sent_to(peer, known), rest)
        self._say("\u2713 edited")

    async def _delete(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if rest:
            raise _WrongUsage("'/delete' takes no text; it deletes your last message")
        await self.delete_held()
        ident, known.sent = self._sent_to(peer, known), ""
        if not on_a_terminal():
            await self._me.delete(peer, ident)
            self._say("\u2713 deleted")
            return
        self._held = peer, ident
        self._holding = asyncio.create_task(self._delete_later())
        self._say(f"\u2713 deleted; within {_HELD:.0f} s, /undo brings it back")

    async def _delete_later(self) -> None:
        """Delete the message that is held back, when it is too late to undo that."""
        await asyncio.sleep(_HELD)
        await self._delete_now()

    async def _delete_now(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            try:
                await self._me.delete(*held)
            except TwotickError as error:
                self._fail(f"not deleted: {error}")

    async def delete_held(self) -> None:
        """Delete the message that is held back at once, because the client ends, or another one is to be deleted."""
        await self._delete_now()
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
            self._holding = None

    async def _undo(self, _: str) -> None:
        held, self._held = self._held, None
        if held is None:
            raise _WrongUsage("there is no deletion to undo, or it is too late")
        peer, ident = held
        self._conversation(peer).sent = ident
        self._say("\u2713 the message is back")

    async def _receipts(self, text: str) -> None:
        """Show who has received and read the last message that was sent."""
        peer, known, _ = self._about(text)
        for each in await self._me.receipts(peer, self._sent_to(peer, known)):
            self._say(person_line(self._people.person(each.name), each.state.name.lower()))

    def _sent_to(self, peer: str, known: _LastMessages) -> str:
        if not known.sent:
            raise _WrongUsage(f"you have sent no message to {peer} in this session")
        return known.sent

    async def _history(self, text: str) -> None:
        peer = _peer(text)[0] or self._peer
        self._show(await self._me.history(peer or None, limit=_FOUND))

    async def _search(self, text: str) -> None:
        asked = parse_search(text, self._me.name, datetime.now())
        found = (await find(self._me, asked, limit=_FOUND)).messages
        self._show(found[::-1])
        if not found:
            self._say("No messages found.")

    def _show(self, messages: list[MemberMessage]) -> None:
        for message in messages:
            if not self.hides(message):
                self._out.print(self.line_of(message))

    # Others

    async def _mute(self, text: str) -> None:
        if text:
            self._say(await muted_line(self._me, _one(text), muted=True))
        else:
            self._list([each.name for each in await self._me.conversations() if each.muted], "Muted:")

    async def _unmute(self, text: str) -> None:
        self._say(await muted_line(self._me, _one(text), muted=False))

    async def _block(self, text: str) -> None:
        if text:
            self._say(await blocked_line(self._me, _one(text), blocked=True))
        else:
            self._list([each.name for each in await self._me.conversations() if each.blocked], "Blocked:")

    def _list(self, names: list[str], what: str) -> None:
        """Print names, a line each."""
        self._say(what if names else f"{what} none.")
        for name in names:
            self._say(f"  {self._people.person(name)}")

    async def _unblock(self, text: str) -> None:
        self._say(await blocked_line(self._me, _one(text), blocked=False))

    async def _report(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if not rest:
            raise _WrongUsage("the text is missing: '/report @bob TEXT'")
        if known.received is not None:
            self._say(await reported_line(self._me, known.received.sender, rest, known.received.id))
        elif peer.startswith("#"):
            raise _WrongUsage(f"there is no message in {peer} to report; '/report @bob TEXT' reports bob")
        else:
            self._say(await reported_line(self._me, peer, rest, None))

    # Files

    async def _file(self, text: str) -> None:
        peer, path = _peer(text)
        peer = peer or self._peer
        if not peer or not path:
            raise _WrongUsage("a name or a path is missing: '/file @bob PATH'")
        file = await asyncio.to_thread(Path(path).expanduser)
        info = await self._me.upload(file, progress=self._quarters(file.name))
        await self._send(peer, b"", {"file": info})

    async def _save(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if known.file is None:
            raise _WrongUsage(f"there is no file from {peer} to save")
        folder = await asyncio.to_thread(Path(rest or ".").expanduser)
        saved = await save(self._me, known.file, folder, self._quarters(file_label(known.file)))
        self._out.print(visible(f"saved as {saved}", keep=""))

    def _quarters(self, name: str) -> Callable[[int, int], None]:
        """Return a function that prints the progress of a large file at each quarter."""
        shown = 0

        def tell(done: int, size: int) -> None:
            nonlocal shown
            quarter = 4 * done // size if size else 0
            if size > _LARGE and shown < quarter < 4:
                shown = quarter
                self._out.print(visible(f"{name}: {25 * quarter} %", keep=""))

        return tell


def _peer(text: str) -> tuple[str, str]:
    """Split a text that begins with a user or a room into that and the rest; the first is empty if it does not."""
    found = _PEER.fullmatch(text)
    return ("", text) if found is None else (found[1] or found[2], (found[3] or "").strip())


def _one(text: str) -> str:
    """Return the one user or room that a text names."""
    if not text or len(text.split()) > 1:
        raise _WrongUsage("name one user or room, such as @bob or #team")
    return text.removeprefix("@")


def _room(text: str) -> str:
    if not text:
        raise _WrongUsage("name a room, such as #team")
    return text if text.startswith("#") else f"#{text}"


def _access(room: RoomInfo) -> str:
    access = access_of(room)
    return "public, also for guests" if access == "guests" else access


def _room_and_member(text: str) -> tuple[str, str]:
    match text.split():
        case [room, member]:
            return _room(room), member.removeprefix("@")
        case _:
            raise _WrongUsage("name a room and a member, such as #team carol")
