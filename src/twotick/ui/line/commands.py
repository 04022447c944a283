"""What a member can do in the line client besides sending: lines that begin with a slash."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from twotick.client import FileInfo, MemberClient, MemberMessage, Reference, SendOptions, TwotickError
from twotick.ui.shell.conversations import blocked_line, muted_line, reported_line
from twotick.ui.shell.describing import file_label, line_of
from twotick.ui.shell.rooms import members_text, others, room_line
from twotick.ui.shell.saving import save
from twotick.ui.text import visible

Send: TypeAlias = Callable[[str, bytes, SendOptions], Awaitable[None]]
"""Sends a message, and shows what becomes of it."""

_CONVERSATIONS = 1000
"""Conversations of which the last messages are remembered."""

_FOUND = 20
"""Messages that are looked for, and that are shown of the past."""

_LARGE = 1 << 20
"""The bytes from which on it is shown how far a file has come."""

_WORDS = re.compile(r"/(\S*)\s*(.*)", re.DOTALL)
_PEER = re.compile(r"(?:@(\S+)|(#\S+))(?:\s+(.*))?", re.DOTALL)

_HELP = (
    ("@bob hello", "send hello to bob; '#team hello' to a room, '@ALL ...' to all"),
    ("/rooms", "list rooms: yours, public ones, and your invitations"),
    ("/join #team", "be in a room; /leave #team ends that"),
    ("/create #team [TOPIC]", "make a room; '/create public #team' lets all join"),
    ("/invite #team carol", "let carol join; /remove #team carol makes her leave"),
    ("/topic #team [TEXT]", "show or change what a room is about"),
    ("/who [#team]", "who is in a room; or who is here"),
    ("/mute @bob", "ring for bob no more; /unmute @bob; /mute lists them"),
    ("/block @bob", "take nothing from bob; /unblock @bob; /block lists them"),
    ("/report TEXT", "tell the operator about the last message that came"),
    ("/reply TEXT", "answer the last message that came"),
    ("/react EMOJI", "react to it; without an emoji, take that back"),
    ("/edit TEXT", "give your last message another text"),
    ("/delete", "delete your last message"),
    ("/file @bob PATH", "send a file"),
    ("/save [FOLDER]", "save the last file that came"),
    ("/history [@bob]", "show what was said last"),
    ("/search WORDS", 'find messages; words in "double quotes" stand together'),
)
_ABOUT_HELP = "@bob or #team may follow /reply, /react, /edit, /delete, /report and /save."


class _Wrong(Exception):
    """A command cannot be carried out as it stands; the text says why."""


@dataclass(slots=True)
class _Known:
    """The last messages of a conversation: what came, the Id of what was sent, and the file that came."""

    came: Reference | None = None
    sent: str = ""
    file: FileInfo | None = None


class Commands:
    """Carries out commands, and remembers what they are about.

    Attributes:
        hides: whether a message is not to be shown, since its sender is blocked.

    Args:
        me: the member.
        out: where to show what comes of them.
        send: sends a message.
    """

    def __init__(self, me: MemberClient, out: Console, send: Send) -> None:
        self._me = me
        self._out = out
        self._send = send
        self.hides: Callable[[MemberMessage], bool] = lambda _: False
        self._known: OrderedDict[str, _Known] = OrderedDict()  # by conversation, that of the last message last
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "rooms": self._rooms,
            "join": self._join,
            "leave": self._leave,
            "create": self._create,
            "invite": self._invite,
            "remove": self._remove,
            "topic": self._topic,
            "who": self._who,
            "reply": self._reply,
            "react": self._react,
            "edit": self._edit,
            "delete": self._delete,
            "file": self._file,
            "save": self._save,
            "history": self._history,
            "search": self._search,
            "mute": self._mute,
            "unmute": self._unmute,
            "block": self._block,
            "unblock": self._unblock,
            "report": self._report,
        }

    # What there is to know

    def heed(self, message: MemberMessage) -> None:
        """A message came, or was sent from another device."""
        if not message.is_news or not message.id:
            return
        if message.outgoing:
            self.sent(message.recipient, message.id)
            return
        known = self._conversation(message.room or message.sender)
        known.came = Reference(message.sender, message.id)
        known.file = message.file or known.file

    def sent(self, peer: str, ident: str) -> None:
        """A message was sent."""
        self._conversation(peer).sent = ident

    def _conversation(self, peer: str) -> _Known:
        known = self._known.setdefault(peer.lower(), _Known())
        self._known.move_to_end(peer.lower())
        if len(self._known) > _CONVERSATIONS:
            self._known.popitem(last=False)
        return known

    def _about(self, text: str) -> tuple[str, _Known, str]:
        """The conversation that a command is about, what is known of it, and the rest of the command."""
        peer, rest = _peer(text)
        if not peer:
            if not self._known:
                raise _Wrong("there was no message yet")
            peer = next(reversed(self._known))
        return peer, self._known.get(peer.lower(), _Known()), rest

    # Doing it

    async def do(self, line: str) -> None:
        """Carry out a command, or say why not."""
        found = _WORDS.fullmatch(line)
        command = None if found is None else self._commands.get(found[1].lower())
        try:
            if found is None or command is None:
                raise _Wrong("there is no such command: /help lists them; '@bob /x' sends /x to bob")  # noqa: TRY301
            await command(found[2].strip())
        except (_Wrong, TwotickError, ValueError) as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _say(self, line: str) -> None:
        self._out.print(visible(line))

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
            self._say("There are no rooms: '/create #team' makes one.")

    async def _join(self, text: str) -> None:
        room = await self._me.join_room(_room(text))
        self._say(f"You are in {room.name}, with {others(room)}: '{room.name} hello' says hello.")

    async def _leave(self, text: str) -> None:
        name = _room(text)
        await self._me.leave_room(name)
        self._say(f"You are no longer in {name}.")

    async def _create(self, text: str) -> None:
        access, _, rest = text.partition(" ")
        public = access == "public"
        name, _, topic = (rest if public or access == "private" else text).strip().partition(" ")
        room = await self._me.create_room(_room(name), public=public, topic=topic.strip())
        access = "public" if room.public else "private: '/invite " + room.name + " carol' lets carol join"
        self._say(f"{room.name} is yours. It is {access}.")

    async def _invite(self, text: str) -> None:
        room, member = _room_and_member(text)
        await self._me.invite(room, member)
        self._say(f"{member} may come to {room}.")

    async def _remove(self, text: str) -> None:
        room, member = _room_and_member(text)
        await self._me.remove(room, member)
        self._say(f"{member} is not in {room} any more.")

    async def _topic(self, text: str) -> None:
        name, _, topic = text.partition(" ")
        name = _room(name)
        room = await (self._me.change_room(name, topic=topic.strip()) if topic.strip() else self._me.room(name))
        self._out.print(visible(f"{room.name}: {room.topic or 'no topic'}", keep=""))

    async def _who(self, text: str) -> None:
        if text:
            self._say(f"{text}: {await members_text(self._me, _room(text))}")
            return
        users = (await self._me.status()).users
        self._say(", ".join(f"{each.name} {each.state}" for each in users) or "There is nobody whom you may see.")

    # Messages

    async def _reply(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if known.came is None or not rest:
            raise _Wrong(f"there is no message of {peer} to answer" if rest else "'/reply TEXT' answers")
        await self._send(peer, rest.encode("utf-8", "surrogateescape"), {"reply_to": known.came})

    async def _react(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if known.came is None:
            raise _Wrong(f"there is no message of {peer} to react to")
        await self._me.react(peer, known.came.id, rest, known.came.sender)
        self._say("\u2713 reacted" if rest else "\u2713 taken back")

    async def _edit(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if not rest:
            raise _Wrong("'/edit TEXT' gives your last message another text")
        await self._me.edit(peer, self._sent_to(peer, known), rest)
        self._say("\u2713 edited")

    async def _delete(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if rest:
            raise _Wrong("'/delete' takes no text: it deletes your last message")
        await self._me.delete(peer, self._sent_to(peer, known))
        known.sent = ""
        self._say("\u2713 deleted")

    def _sent_to(self, peer: str, known: _Known) -> str:
        if not known.sent:
            raise _Wrong(f"you have sent nothing to {peer} that is known here")
        return known.sent

    async def _history(self, text: str) -> None:
        peer, _ = _peer(text)
        self._show(await self._me.history(peer or None, limit=_FOUND))

    async def _search(self, text: str) -> None:
        found = (await self._me.search(text, limit=_FOUND)).messages
        self._show(found[::-1])
        if not found:
            self._say("Nothing was found.")

    def _show(self, messages: list[MemberMessage]) -> None:
        for message in messages:
            if not self.hides(message):
                self._out.print(line_of(message))

    # Others

    async def _mute(self, text: str) -> None:
        if text:
            self._say(await muted_line(self._me, _one(text), muted=True))
        else:
            muted = [each.name for each in await self._me.conversations() if each.muted]
            self._say(f"Muted: {', '.join(muted) or 'nobody'}.")

    async def _unmute(self, text: str) -> None:
        self._say(await muted_line(self._me, _one(text), muted=False))

    async def _block(self, text: str) -> None:
        if text:
            self._say(await blocked_line(self._me, _one(text), blocked=True))
        else:
            blocked = [each.name for each in await self._me.conversations() if each.blocked]
            self._say(f"Blocked: {', '.join(blocked) or 'nobody'}.")

    async def _unblock(self, text: str) -> None:
        self._say(await blocked_line(self._me, _one(text), blocked=False))

    async def _report(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if not rest:
            raise _Wrong("say what is wrong: '/report @bob TEXT'")
        if known.came is not None:
            self._say(await reported_line(self._me, known.came.sender, rest, known.came.id))
        elif peer.startswith("#"):
            raise _Wrong(f"there is no message in {peer} to report: '/report @bob TEXT' reports bob")
        else:
            self._say(await reported_line(self._me, peer, rest, None))

    # Files

    async def _file(self, text: str) -> None:
        peer, path = _peer(text)
        if not peer or not path:
            raise _Wrong("'/file @bob PATH' sends a file")
        file = await asyncio.to_thread(Path(path).expanduser)
        info = await self._me.upload(file, progress=self._quarters(file.name))
        await self._send(peer, b"", {"file": info})

    async def _save(self, text: str) -> None:
        peer, known, rest = self._about(text)
        if known.file is None:
            raise _Wrong(f"there is no file of {peer} to save")
        folder = await asyncio.to_thread(Path(rest or ".").expanduser)
        saved = await save(self._me, known.file, folder, self._quarters(file_label(known.file)))
        self._out.print(visible(f"saved as {saved}", keep=""))

    def _quarters(self, name: str) -> Callable[[int, int], None]:
        """Show now and then how far a large file has come."""
        shown = 0

        def tell(done: int, size: int) -> None:
            nonlocal shown
            quarter = 4 * done // size if size else 0
            if size > _LARGE and shown < quarter < 4:
                shown = quarter
                self._out.print(visible(f"{name}: {25 * quarter} %", keep=""))

        return tell


def _peer(text: str) -> tuple[str, str]:
    """The user or room with which a text begins, and the rest; empty if it begins with neither."""
    found = _PEER.fullmatch(text)
    return ("", text) if found is None else (found[1] or found[2], (found[3] or "").strip())


def _one(text: str) -> str:
    """The user or room that is all of a text."""
    if not text or len(text.split()) > 1:
        raise _Wrong("name one: @bob, or #team, for example")
    return text.removeprefix("@")


def _room(text: str) -> str:
    if not text:
        raise _Wrong("name the room: #team, for example")
    return text if text.startswith("#") else f"#{text}"


def _room_and_member(text: str) -> tuple[str, str]:
    match text.split():
        case [room, member]:
            return _room(room), member.removeprefix("@")
        case _:
            raise _Wrong("name the room and the member: #team carol, for example")
