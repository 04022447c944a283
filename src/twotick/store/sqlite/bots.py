"""Bots and their rights, and the messages that later ones update (docs/protocol.md, section 21)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace
from typing import Final

from twotick.store.requests.bots import AddBot, BotMember, BotRight, FindBot, ListBots, SetBotRight
from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules import bots
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.errors import NO_MEMBER, NO_ROOM, NotAllowed
from twotick.store.rules.rooms import RoomState
from twotick.store.sqlite.editing import EditRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MEMBERS, Ledger
from twotick.store.sqlite.rooms import RoomRepository

_KEEP_RIGHT: Final = (
    "INSERT INTO bot_right VALUES (?, ?, ?, ?, ?) ON CONFLICT (member, peer)"
    " DO UPDATE SET name = excluded.name, sends = excluded.sends, reads = excluded.reads"
)
_KEEP_SLOT: Final = (
    "INSERT INTO slot VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (member, peer, key)"
    " DO UPDATE SET id = excluded.id, items = excluded.items, time = excluded.time"
)
_FORGET_SLOTS: Final = (
    "DELETE FROM slot WHERE member = ?1 AND time <="
    " (SELECT time FROM slot WHERE member = ?1 ORDER BY time DESC LIMIT 1 OFFSET ?2)"
)


class BotRepository:
    """Carries out requests about bots.

    Args:
        ledger: the logs.
        rooms: the rooms that bots join.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            AddBot: refusing(self._add),
            SetBotRight: refusing(self._set_right),
            FindBot: lambda request: self._find(request.member),
            ListBots: self._list,
        }

    def _add(self, request: AddBot) -> BotMember:
        direct = self._tables.direct
        folded = request.name.lower()
        if direct("SELECT 1 FROM member WHERE folded = ?", (folded,)).fetchone() is not None:
            raise NotAllowed(f"{request.name} is a member already", "taken")
        (number,) = direct(
            "INSERT INTO member (name, folded, password, added, bot) VALUES (?, ?, '', ?, 1) RETURNING number",
            (request.name, folded, request.time),
        ).fetchone()
        return BotMember(number, request.name, ())

    def _find(self, member: int) -> BotMember | None:
        row = self._tables.direct(
            f"SELECT name FROM member WHERE number = ? AND bot = 1 AND {MEMBERS}", (member,)
        ).fetchone()
        if row is None:
            return None
        rights = self._tables.direct(
            "SELECT name, sends, reads FROM bot_right WHERE member = ? ORDER BY peer", (member,)
        ).fetchall()
        return BotMember(
            member, row[0], tuple(BotRight(name, bool(sends), bool(reads)) for name, sends, reads in rights)
        )

    def _list(self, request: ListBots) -> list[BotMember]:
        numbers = self._tables.direct(f"SELECT number FROM member WHERE bot = 1 AND {MEMBERS} ORDER BY folded")
        return [bot for (number,) in numbers.fetchall() if (bot := self._find(number)) is not None]

    # Rights

    def _set_right(self, request: SetBotRight) -> BotMember:
        bot, box = self._find(request.member), self._ledger.mailbox(request.member)
        if bot is None or box is None:
            raise NotAllowed("there is no such bot")
        peer = request.peer.lower()
        old = next((each for each in bot.rights if each.name.lower() == peer), BotRight(request.peer, False, False))
        sends = old.sends if request.sends is None else request.sends
        reads = old.reads if request.reads is None else request.reads
        key = peer.encode(errors="replace")
        if not (sends or reads):
            self._tables.direct("DELETE FROM bot_right WHERE member = ? AND peer = ?", (bot.number, key))
            if peer.startswith("#"):
                self._rooms.let_out(peer, box, request.time)
        else:
            if old not in bot.rights and len(bot.rights) >= bots.MOST_RIGHTS:
                raise NotAllowed(f"a bot has rights in at most {bots.MOST_RIGHTS} conversations")
            shown = self._reached(peer, box, request.time)
            self._tables.direct(_KEEP_RIGHT, (bot.number, key, shown, int(sends), int(reads)))
        self._ledger.load_rights(box)
        found = self._find(bot.number)
        return bot if found is None else found

    def _reached(self, peer: str, box: Mailbox, time: float) -> str:
        """Return the name of a conversation as it is shown; the bot is in it from now on, if it is a room.

        Raises:
            NotAllowed: there is no such user or room, or the bot cannot join it.
        """
        if peer == "all":
            return "ALL"
        if peer.startswith("#"):
            return self._rooms.let_in(peer, box, time)
        other = self._ledger.mailbox_named(peer.encode(errors="replace"))
        if other is None:
            raise NotAllowed(NO_ROOM if peer.startswith("#") else f"{NO_MEMBER} called {peer}")
        return other.name


class SlotRepository:
    """Finds the messages that later ones update (rules 21.6 and 21.7).

    Args:
        ledger: the logs.
        edits: finds messages that may be edited.
    """

    def __init__(self, ledger: Ledger, edits: EditRepository):
        self._tables = ledger.tables
        self._edits = edits

    def filled(self, request: Append, room: RoomState | None) -> Append:
        """Return a message with a slot as it is to be stored: as an edit, if it updates the last one with that slot.

        Args:
            request: the message.
            room: the room that it is sent to; None for none.
        """
        if not request.slot or request.sender is None or request.action is not MessageAction.NONE:
            return request
        row = self._tables.direct(
            "SELECT id, items FROM slot WHERE member = ? AND peer = ? AND key = ?", self._key(request)
        ).fetchone()
        if row is None or not bots.is_update(row[1], request.items):
            return request
        edit = replace(
            request,
            action=MessageAction.EDIT,
            about=bytes(row[0]),
            headers=b"%bEdits: %b\n" % (request.headers, row[0]),
        )
        try:
            self._edits.find(edit, room)
        except NotAllowed:  # the message is gone: this one takes its place
            return request
        return edit

    def keep(self, request: Append) -> None:
        """Remember which message has a slot now; none, if it is about nothing any more."""
        if not request.slot or request.sender is None:
            return
        key = self._key(request)
        if not request.items:
            self._tables.direct("DELETE FROM slot WHERE member = ? AND peer = ? AND key = ?", key)
            return
        ident = request.about if request.action is MessageAction.EDIT else request.id
        self._tables.direct(_KEEP_SLOT, (*key, ident, request.items, request.time))
        self._tables.direct(_FORGET_SLOTS, (request.sender, bots.MOST_SLOTS))

    @staticmethod
    def _key(request: Append) -> tuple[int | None, bytes, bytes]:
        return request.sender, request.recipient.lower(), request.slot
