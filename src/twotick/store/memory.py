"""The store that keeps everything in memory (docs/protocol.md, sections 10 to 15)."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from twotick.store.file_records import CloseReport, OfferFile, ReadPiece, Report, Reports, WritePiece
from twotick.store.memory_check import problems
from twotick.store.memory_conversations import Talk
from twotick.store.memory_logs import Logs
from twotick.store.memory_members import Directory
from twotick.store.memory_messages import Messages
from twotick.store.memory_reading import Reading
from twotick.store.memory_reports import Desk
from twotick.store.memory_rooms import RoomKeeper
from twotick.store.memory_search import Texts
from twotick.store.records import (
    Acknowledge,
    AddInvitation,
    AddMember,
    AddToken,
    Append,
    Devices,
    Expire,
    Fetch,
    FindMember,
    FindToken,
    History,
    MarkRead,
    Members,
    OpenDevice,
    Prune,
    Refusal,
    Refuse,
    RemoveMember,
    Revoke,
    SetPassword,
    Settle,
    StoreLimits,
)
from twotick.store.requests import Request, Result
from twotick.store.room_records import (
    Appoint,
    Audience,
    ChangeRoom,
    Contacts,
    Conversations,
    CreateRoom,
    Index,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LookAtRoom,
    Receipts,
    RemoveFromRoom,
    RoomMembers,
    Rooms,
    SetConversation,
    SetShown,
)
from twotick.store.room_records import Search as Question
from twotick.store.schema import INDEX
from twotick.store.search import Search, Words


class MemoryStore:
    """Members, logs and cursors in memory. Used by one thread at a time.

    Args:
        limits: what is kept at most.
    """

    def __init__(self, limits: StoreLimits) -> None:
        self._logs = logs = Logs(limits)
        self._messages = messages = Messages(logs)
        rooms = RoomKeeper(logs, messages)
        self._talk = talk = Talk(logs, messages)
        self._directory = directory = Directory(logs, rooms, talk)
        reading = Reading(logs)
        desk = Desk(logs, reading)
        self._index = sqlite3.connect(":memory:", check_same_thread=False)  # one thread may open it, and another use it
        self._index.executescript(INDEX)
        self._words = words = Words(self._index.execute)
        texts = Texts(logs, words, reading)
        self._search = Search(words, texts)
        logs.before_change, logs.after_change = texts.forget, texts.renew
        self._handlers: dict[type, Callable[[Any], Result]] = {
            Append: messages.append,
            Acknowledge: messages.acknowledge,
            Refuse: messages.refuse,
            MarkRead: messages.mark_read,
            Settle: messages.settle,
            Expire: messages.expire,
            Prune: self._prune,
            Fetch: reading.fetch,
            History: reading.history,
            Members: directory.members,
            FindMember: directory.find_member,
            FindToken: directory.find_token,
            AddMember: directory.add_member,
            SetPassword: directory.set_password,
            RemoveMember: directory.remove_member,
            AddInvitation: directory.add_invitation,
            AddToken: directory.add_token,
            OpenDevice: directory.open_device,
            Devices: directory.devices,
            Revoke: directory.revoke,
            CreateRoom: rooms.change,
            JoinRoom: rooms.change,
            LeaveRoom: rooms.change,
            ChangeRoom: rooms.change,
            InviteToRoom: rooms.change,
            RemoveFromRoom: rooms.change,
            Appoint: rooms.change,
            LookAtRoom: rooms.look_at,
            Rooms: rooms.rooms,
            RoomMembers: rooms.members,
            Receipts: talk.receipts,
            Conversations: talk.conversations,
            SetConversation: talk.set_conversation,
            Audience: talk.audience,
            Contacts: talk.contacts,
            SetShown: talk.set_shown,
            Question: self._search.search,
            Index: self._make_findable,
            OfferFile: _refuse_file,
            WritePiece: _refuse_file,
            ReadPiece: _refuse_file,
            Report: desk.report,
            Reports: desk.reports,
            CloseReport: desk.close,
        }

    def _prune(self, request: Prune) -> bool:
        """Remove old messages; then forget who could see members that were removed."""
        more = self._messages.prune(request)
        if not more:
            self._talk.prune(request.time)
        return more

    def _make_findable(self, request: Index) -> bool:
        """Make messages findable."""
        more = self._search.index(request)
        self._index.commit()  # and all that came before it since the last time
        return more

    def apply(self, requests: Sequence[Request]) -> list[Result]:
        """Carry out requests, in order.

        Args:
            requests: what to do. One that is refused changes nothing, and does not disturb the others.

        Returns:
            What each of them is answered.
        """
        handlers = self._handlers
        return [handlers[type(request)](request) for request in requests]

    def answer(self, asked: Sequence[tuple[Request, Callable[[Any], None]]]) -> None:
        """Carry out requests, in order, and call the callback of each with what it is answered."""
        handlers = self._handlers
        for request, callback in asked:
            callback(handlers[type(request)](request))

    def changed(self) -> bool:
        """Whether another process has changed anything: no other can."""
        return False

    def check(self) -> list[str]:
        """Look for mistakes of ours: in what must be true of logs, cursors and counters.

        Returns:
            The problems in words; none if all is well.
        """
        found = problems(self._logs, self._directory)
        return found if self._words.is_sound() else [*found, "the index of words is damaged"]

    def close(self) -> None:
        """Close the index; all else goes with the store."""
        self._index.close()


def _refuse_file(_: OfferFile | WritePiece | ReadPiece) -> Refusal:
    """What is kept in memory is small (rule 16.5)."""
    return Refusal("this server takes no files")
