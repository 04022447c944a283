"""Random batches of requests to two stores that must answer the same, and hold the same.

One is on disk and carries out whole batches, so that most rows wait in its journal. The reference is in memory, carries
out one request at a time and is tidied after each, so that its rows are in their tables at once.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.examples import examples
from tests.store.helpers import NOW
from tests.store.pictures import png
from twotick.store import (
    Acknowledge,
    AddInvitation,
    AddMember,
    AddReport,
    AddToken,
    Append,
    Appended,
    ChangeRoom,
    CloseReport,
    ConversationSet,
    CreateRoom,
    Duplicate,
    Effects,
    Expire,
    Fetch,
    Fetched,
    FindMember,
    FindToken,
    GetRoom,
    History,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListAudience,
    ListContacts,
    ListConversations,
    ListDevices,
    ListMembers,
    ListProfiles,
    ListReceipts,
    ListReports,
    ListRoomMembers,
    ListRooms,
    LogEntry,
    MarkRead,
    MessageAction,
    MessagesPart,
    OpenDevice,
    OpenedDevice,
    Prune,
    Refuse,
    RemoveFromRoom,
    RemoveMember,
    Request,
    Revoke,
    RevokeOthers,
    RoomChanged,
    RoomRole,
    SearchMessages,
    SearchPage,
    SetConversation,
    SetPassword,
    SetProfile,
    SetRoomRole,
    SetShown,
    Settle,
    SqliteStore,
    StoreLimits,
)
from twotick.store.requests.guest_rooms import (
    CheckPutOut,
    FetchRoom,
    FindGuestRoom,
    FindRoomMembers,
    GuestRoom,
    ListGuestRoomMembers,
    ListGuestRooms,
    RoomPart,
)

LIMITS = StoreLimits(mailbox_entries=6, mailbox_bytes=60, devices=3, room_members=3, rooms=2, settings=2)
WIDE = StoreLimits(mailbox_entries=40, mailbox_bytes=1000, devices=3, room_members=4, rooms=2, settings=3)
ROOMY = StoreLimits(mailbox_entries=100_000, mailbox_bytes=1 << 30, devices=3)
names = st.sampled_from(["alice", "Bob", "CAROL", "alice", "bob", "dan"])
members = st.sampled_from([1, 2, 3, 1, 2, 3, 1, 2, 3, 4])
"""Which of the members that there are at that time, by name; `Pair` makes its number of that."""

devices = st.sampled_from(["laptop", "laptop", "laptop", "laptop/listen", "phone", "tablet"])
devices_bytes = devices.map(str.encode)
back = st.one_of(st.integers(-1, 4), st.integers(-1, 4), st.integers(0, 20))
"""How far before the end of its log an entry is that a request is about; `Pair` makes its number of that."""
peers = st.sampled_from([b"alice", b"BOB", b"carol", b"guest", b"all", b"", b"#TEAM", b"#team", b"#den"])
words = st.sampled_from(["hello", "xx*", "xxx", "hi carol", '"carol xx"', "x", ""])
idents = st.sampled_from([b"", b"", b"1", b"2", b"3", b"4", b"5", b"6"])
new_idents = st.sampled_from([b"new", b"new", b"new", b"new", b"new", b"1", b"2"])
"""`Pair` makes one that was not used before of `new`."""
actions = st.sampled_from(
    [MessageAction.NONE, MessageAction.NONE, MessageAction.EDIT, MessageAction.DELETE, MessageAction.REACT]
)
looks = st.sampled_from([True, False, False])
"""Whether to compare all that the stores hold now. That moves what is in the journal, which is to grow sometimes."""

tokens = st.sampled_from([b"one", b"two", b"three"])
times = st.integers(0, 12).map(lambda second: NOW + second)

Drawn = TypeVar("Drawn")


def rarely(strategy: st.SearchStrategy[Drawn], other: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """One time in ten the one, else the other."""
    return st.integers(1, 10).flatmap(lambda chance: strategy if chance == 10 else other)


@st.composite
def changes(draw: st.DrawFn, message: Append) -> Append:
    """The same message, or one that changes another: `Pair` makes the Id of one that was sent of the number drawn."""
    action = draw(actions)
    if action is MessageAction.NONE:
        return message
    body = b"" if action is MessageAction.DELETE and draw(st.integers(1, 10)) < 10 else message.body
    about_name = draw(st.sampled_from([b"", b"", b"another"]))
    return replace(message, body=body, action=action, about=b"%d" % draw(st.integers(0, 5)), about_name=about_name)


@st.composite
def messages(draw: st.DrawFn, idents: st.SearchStrategy[bytes] = idents) -> Append:
    sender = draw(st.one_of(st.none(), members))
    to = tuple(draw(st.one_of(members.map(lambda one: [one]), st.lists(members, max_size=4, unique=True))))
    message = Append(
        sender=sender,
        sender_name=b"guest" if sender is None else b"",
        device=b"" if sender is None else draw(devices_bytes),
        id=draw(idents),
        recipient=draw(st.sampled_from([b"Alice", b"bob", b"carol"])) if len(to) == 1 else b"ALL",
        members=to,
        live=draw(st.booleans()) if len(to) != 1 else False,
        headers=b"X-a: 1\n",
        body=draw(st.one_of(st.integers(0, 25).map(lambda length: b"x" * length), st.just(b"hello"))),
        time=draw(times),
        expires=draw(st.one_of(st.none(), times)),
    )
    return draw(rarely(changes(message), st.just(message)))


@st.composite
def messages_to_rooms(draw: st.DrawFn) -> Append:
    sender = draw(rarely(st.none(), members))
    message = Append(
        sender=sender,
        sender_name=b"guest" if sender is None else b"",
        device=b"" if sender is None else draw(devices_bytes),
        id=draw(new_idents),
        recipient=draw(rooms_bytes),
        members=(),
        live=False,
        headers=b"X-a: 1\n",
        body=draw(st.sampled_from([b"", b"hello", b"@Bob, @alice", b"@carol" + b"x" * 20, b"a@bob", b"hi @CAROL."])),
        time=draw(times),
        expires=draw(st.one_of(st.none(), st.none(), times)),
    )
    return draw(changes(message))


@st.composite
def messages_of_guests(draw: st.DrawFn) -> Append:
    """Messages to rooms that let guests in; `Pair` looks which rooms do."""
    return Append(
        sender=None,
        sender_name=draw(st.sampled_from([b"guest", b"guest", b"GUEST", b"gus", b"dan"])),
        id=draw(st.sampled_from([b"1", b"1", b"2", b"new"])),
        recipient=draw(rooms_bytes),
        headers=draw(st.sampled_from([b"Time: 1\n", b"Time: 2\nAccepted: 3\n", b"Time: 1\nX-a: 1\n"])),
        body=draw(st.sampled_from([b"hello", b"hello", b"", b"@carol" + b"x" * 20])),
        time=draw(times),
        expires=draw(st.one_of(st.none(), st.none(), times)),
        into=FIND,
    )


FIND = -1
"""In place of the number of a room: the one that lets guests in, or did last."""

rooms = st.sampled_from(["#Team", "#team", "#TEAM", "#team", "#team", "#den", "#den"])
rooms_bytes = rooms.map(str.encode)
topics = st.sampled_from(["", "t", "u"])
pictures = st.sampled_from([None, b"", png()])
maybe = st.one_of(st.none(), st.booleans())
owners = st.one_of(st.just(1), st.just(1), members)
roles = st.sampled_from([RoomRole.MEMBER, RoomRole.MODERATOR, RoomRole.OWNER])

about_messages: st.SearchStrategy[Request[Any]] = st.one_of(
    messages(),
    messages(),
    messages(),
    messages(),
    messages(),
    messages(),
    st.builds(Acknowledge, members, devices_bytes, back, times),
    st.builds(Acknowledge, members, devices_bytes, back, times),
    st.builds(Acknowledge, members, devices_bytes, back, times),
    st.builds(Refuse, members, devices_bytes, back, times),
    st.builds(Refuse, members, devices_bytes, back, times),
    st.builds(MarkRead, members, devices_bytes, peers, back, times),
    st.builds(MarkRead, members, devices_bytes, peers, back, times),
    st.builds(Settle, st.integers(0, 3), st.booleans(), st.just("dan is gone"), times),
    st.builds(OpenDevice, members, devices, st.one_of(st.just(99), back), times),
    st.builds(Revoke, members, devices),
    st.builds(RevokeOthers, members, devices),
    st.builds(Expire, st.sampled_from([NOW, NOW + 1, NOW + 2, NOW + 12])),
    st.builds(Prune, times, st.integers(0, 6).map(float)),
    st.builds(Fetch, members, back, st.integers(0, 6), st.integers(0, 60)),
    st.builds(History, members, peers, back, st.one_of(st.just(0.0), times), st.integers(0, 6), st.integers(0, 60)),
    st.builds(SearchMessages, members, words, peers, st.just(0), st.integers(0, 6), st.integers(0, 60)),
    st.builds(AddReport, members, peers, idents, st.just(b"why"), times),
)
about_rooms: st.SearchStrategy[Request[Any]] = st.one_of(
    messages_to_rooms(),
    messages_to_rooms(),
    messages_to_rooms(),
    messages_to_rooms(),
    messages_to_rooms(),
    messages_to_rooms(),
    messages_of_guests(),
    messages_of_guests(),
    st.builds(JoinRoom, members, rooms, times),
    st.builds(JoinRoom, members, rooms, times),
    st.builds(InviteToRoom, members, rooms, names, times),
    st.builds(MarkRead, members, devices_bytes, rooms_bytes, back, times),
    st.builds(SetConversation, members, peers, maybe, maybe, times),
    st.builds(SearchMessages, members, words, peers, st.just(0), st.integers(0, 6), st.integers(0, 60)),
    st.builds(
        History, members, rooms_bytes, back, st.one_of(st.just(0.0), times), st.integers(0, 6), st.integers(0, 60)
    ),
    rarely(
        st.builds(CreateRoom, members, st.one_of(rooms, st.just("team")), st.booleans(), topics, times, st.booleans()),
        st.one_of(
            st.builds(LeaveRoom, members, rooms, times),
            st.builds(ChangeRoom, members, rooms, maybe, st.one_of(st.none(), topics, st.just("a\nb")), times),
            st.builds(ChangeRoom, owners, rooms, maybe, st.none(), times, maybe, st.booleans()),
            st.builds(CheckPutOut, members, rooms),
            st.builds(FindGuestRoom, rooms, st.just("")),
            st.builds(FindRoomMembers, st.integers(1, 2)),
            st.builds(ListGuestRoomMembers, rooms, st.just("")),
            st.builds(ListGuestRooms, st.integers(0, 1), st.just("")),
            st.builds(FetchRoom, st.integers(1, 2), st.integers(0, 20), st.integers(0, 6), st.integers(0, 60), times),
            st.builds(RemoveFromRoom, owners, rooms, names, times),
            st.builds(SetRoomRole, owners, rooms, names, roles, times),
            st.builds(SetShown, members, maybe),
            st.builds(SetProfile, members, st.one_of(st.none(), topics), st.one_of(st.none(), topics), pictures),
            st.builds(ListAudience, members, peers, st.booleans()),
        ),
    ),
)
about_members: st.SearchStrategy[Request[Any]] = st.one_of(
    st.builds(AddMember, names, st.sampled_from(["", "hash"]), times, st.one_of(st.none(), tokens)),
    st.builds(AddMember, names, st.sampled_from(["", "hash"]), times),
    st.builds(AddMember, names, st.sampled_from(["", "hash"]), times),
    st.builds(RemoveMember, names, times),
    st.builds(SetPassword, names, st.sampled_from(["new", "newer"])),
    st.builds(FindMember, names),
    st.builds(AddInvitation, tokens, times),
    st.builds(AddToken, members, devices, tokens, times),
    st.builds(FindToken, tokens),
    st.builds(CloseReport, st.integers(1, 5)),
)
requests = rarely(about_members, rarely(about_rooms, about_messages))
requests_with_rooms = st.one_of(
    about_rooms,
    about_rooms,
    about_rooms,
    messages(new_idents).flatmap(changes),
    rarely(about_members, about_messages),
)


def contents(members: list[int], last: int) -> list[Request[Any]]:
    """What there is to be asked: of those who are members, and of those who were.

    Args:
        members: the numbers of the members.
        last: the highest number that a member has had.
    """
    numbers = range(1, last + 2)  # and of one who never was
    return [
        ListMembers(),
        *(FindToken(token) for token in (b"one", b"two", b"three")),
        *(Fetch(number, 0, 10_000, 1 << 30) for number in numbers),
        *(ListDevices(number) for number in numbers),
        *(
            History(number, peer, 0, 0, 10_000)
            for number in members
            for peer in (b"alice", b"bob", b"carol", b"guest", b"all", b"", b"#team", b"#den")
        ),
        *(
            each
            for number in numbers
            for each in (
                ListRooms(number, 2),
                ListRooms(number, 100),
                ListConversations(number, 1000),
                ListContacts(number),
                ListProfiles(number),
            )
        ),
        *(ListAudience(number, peer) for number in members for peer in (b"", b"alice", b"bob", b"#team", b"#den")),
        *(ListAudience(number, b"", is_gone=True) for number in numbers),
        *(ListContacts(number, room) for number in numbers for room in (b"#TEAM", b"#den")),
        *(SetShown(number, None) for number in numbers),
        *(SearchMessages(number, "hello", b"", 0, 1000, 1 << 30) for number in [*members, 99]),
        ListReports(),
        *(
            each
            for number in [*members, 99]
            for room in ("#team", "#den")
            for each in (ListRoomMembers(number, room), GetRoom(number, room))
        ),
        *(FetchRoom(room, 0, 10_000, 1 << 30, NOW + 6) for room in (1, 2)),
        ListGuestRooms(100, ""),
    ]


class Pair:
    """A store on disk and the reference, which are asked the same."""

    def __init__(self, limits: StoreLimits):
        self.folder = Path(tempfile.mkdtemp(prefix="twotick-"))
        self.disk = SqliteStore(self.folder, limits)
        self.reference = SqliteStore(None, limits)
        # The numbers of messages differ: the store on disk gives those of messages that are gone a second time.
        self.on_disk: dict[int, int] = {}
        self.live: list[int] = []
        self.sent: list[Append] = []
        self.ends: Counter[int] = Counter()
        self.numbers = count()
        self.last = 0
        self.letting_in: dict[bytes, int] = {}

    def ask(self, batch: list[Request[Any]]) -> None:
        """Ask both, and compare the answers."""
        members = self._members()
        aimed = [self._aimed(request, members) for request in batch]
        self._compare(aimed, (self._alone(request) for request in aimed))

    def compare(self) -> None:
        """Compare all that they hold."""
        receipts: list[Request[Any]] = [
            ListReceipts(each.sender or 0, each.recipient, each.id) for each in self.sent[-20:]
        ]
        questions = contents(list(self._members()), self.last) + receipts
        self._compare(questions, self.reference.apply(questions))  # they change nothing: there is nothing to tidy
        assert self.disk.check() == self.reference.check() == []

    def _members(self) -> dict[int, str]:
        """The names of those who are members, by number, in the order of their names."""
        members = {member.number: member.name for member in self.reference.ask(ListMembers())}
        self.last = max(self.last, *members, 0)
        return members

    def _compare(self, batch: list[Request[Any]], results: Iterable[Any]) -> None:
        """Ask the store on disk a batch, and compare its answers with those of the reference."""
        for_disk = [
            replace(one, message=self.on_disk.get(one.message, 0)) if isinstance(one, Settle) else one for one in batch
        ]
        on_disk = self.disk.apply(for_disk)
        answers = zip(batch, on_disk, list(results), strict=True)
        for request, expected, result in answers:
            if isinstance(expected, Appended) and isinstance(result, Appended):
                self.on_disk[result.message] = expected.message
                if isinstance(request, Append) and request.live:
                    self.live.append(result.message)
                if isinstance(request, Append) and request.sender is not None:
                    self.sent.append(request)
            self._learn(result, expected)
            assert self._renumbered(result) == expected, request

    def _alone(self, request: Request[Any]) -> Any:
        """Ask the reference one thing, and tidy it completely."""
        answer = self.reference.ask(request)
        while self.reference.tidy():
            pass
        return answer

    def _learn(self, result: Any, expected: Any) -> None:
        """Find out which numbers events have on disk, from the first answer that has them."""
        for entry, on_disk in zip(_entries_of(result), _entries_of(expected), strict=False):
            self.on_disk.setdefault(entry.message, on_disk.message)

    def _aimed(self, request: Request[Any], members: dict[int, str]) -> Request[Any]:
        """A request about what is there: a member, a message that is under way, an entry near the end of its log."""
        numbers = list(members)

        def number(drawn: int) -> int:
            return numbers[drawn - 1] if drawn <= len(numbers) else drawn

        def seq(drawn: int, member: int) -> int:
            return max(self.ends[number(member)] - drawn, 0)

        match request:
            case Append() if request.into == FIND:
                return self._from_guest(request)
            case Append():
                to = tuple(dict.fromkeys(number(member) for member in request.members))
                recipient = request.recipient
                if len(to) == 1 and to[0] in members and recipient != b"ALL":
                    name = members[to[0]].encode()
                    recipient = name.upper() if recipient.istitle() else name
                if request.sender is None:
                    return replace(request, members=to, recipient=recipient)
                sender, about_name = number(request.sender), request.about_name
                about = request.about
                if about and self.sent:
                    earlier = self.sent[-1 - int(about) % len(self.sent)]
                    about, recipient, to = earlier.id, earlier.recipient, earlier.members
                    if about_name:
                        about_name = earlier.sender_name.lower()
                    else:
                        sender = earlier.sender or 0
                ident = b"new%d" % next(self.numbers) if request.id == b"new" else request.id
                return replace(
                    request,
                    sender=sender,
                    sender_name=members.get(sender, "nobody").encode(),
                    id=ident,
                    recipient=recipient,
                    members=to,
                    live=request.live and recipient == b"ALL",
                    about=about,
                    about_name=about_name,
                )
            case Settle():
                # Each is settled once: on disk, its number may be another message's by the second time.
                known = request.message < len(self.live)
                return replace(request, message=self.live.pop(-1 - request.message) if known else 0)
            case Acknowledge() | Refuse() | MarkRead():
                return replace(request, member=number(request.member), seq=seq(request.seq, request.member))
            case OpenDevice():
                return replace(request, member=number(request.member), resume=seq(request.resume, request.member))
            case Fetch():
                return replace(request, member=number(request.member), after=seq(request.after, request.member))
            case History() if request.peer.startswith(b"#"):
                return replace(request, member=number(request.member))
            case History():
                return replace(request, member=number(request.member), before=seq(request.before, request.member))
            case (
                AddToken()
                | Revoke()
                | RevokeOthers()
                | CreateRoom()
                | JoinRoom()
                | LeaveRoom()
                | ChangeRoom()
                | InviteToRoom()
            ):
                return replace(request, member=number(request.member))
            case (
                RemoveFromRoom()
                | SetRoomRole()
                | SetConversation()
                | SetShown()
                | ListAudience()
                | SearchMessages()
                | AddReport()
            ):
                return replace(request, member=number(request.member))
            case _:
                return request

    def _from_guest(self, request: Append) -> Append:
        """A guest's message to the room of a name that lets guests in; to the last one if there is none now."""
        room = request.recipient.lower()
        found = self.reference.ask(FindGuestRoom(room.decode(), ""))
        if isinstance(found, GuestRoom):
            self.letting_in[room] = found.number
        ident = b"new%d" % next(self.numbers) if request.id == b"new" else request.id
        return replace(request, into=self.letting_in.get(room, 0), id=ident)

    def close(self) -> None:
        self.disk.close()
        self.reference.close()
        shutil.rmtree(self.folder)

    def _renumbered(self, result: Any) -> Any:
        """An answer of the store in memory, with the numbers that messages have on disk."""
        match result:
            case Appended():
                number = self.on_disk[result.message]
                return Appended(number, self._outcome(result.effects), result.place, result.members, result.is_first)
            case Duplicate():
                return replace(result, message=self.on_disk[result.message])
            case Effects():
                return self._outcome(result)
            case OpenedDevice() | RoomChanged() | ConversationSet():
                return replace(result, effects=self._outcome(result.effects))
            case Fetched() | MessagesPart() | SearchPage() | RoomPart():
                return replace(result, entries=self._entries(result.entries))
            case _:
                return result

    def _outcome(self, outcome: Effects) -> Effects:
        guests = [(self.on_disk[number], state, reason) for number, state, reason in outcome.guests]
        renumbered = Effects(self._entries(outcome.entries), guests)
        renumbered.progress = [replace(each, message=self.on_disk[each.message]) for each in outcome.progress]
        return renumbered

    def _entries(self, entries: list[LogEntry]) -> list[LogEntry]:
        for entry in entries:
            self.ends[entry.member] = max(self.ends[entry.member], entry.seq)
        return [replace(entry, message=self.on_disk[entry.message]) for entry in entries]


def _entries_of(result: Any) -> list[LogEntry]:
    """The entries that an answer has."""
    match result:
        case Effects() | Fetched() | MessagesPart() | SearchPage() | RoomPart():
            return result.entries
        case Appended() | OpenedDevice() | RoomChanged() | ConversationSet():
            return result.effects.entries
        case _:
            return []


class Machine(RuleBasedStateMachine):
    """Requests of every kind, with so few names, Ids and places in mailboxes that they get into each other's way."""

    @initialize()
    def begin(self) -> None:
        self.pair = Pair(LIMITS)
        begin: list[Request[Any]] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol")]
        self.pair.ask(begin)
        self.pair.ask([OpenDevice(1, "laptop", 0, NOW), OpenDevice(2, "laptop", 0, NOW)])

    @rule(batch=st.lists(requests, min_size=1, max_size=8), look=looks)
    def ask(self, batch: list[Request[Any]], look: bool) -> None:
        self.pair.ask(batch)
        if look:
            self.pair.compare()

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            with closing(self.pair):
                self.pair.compare()


class InRooms(RuleBasedStateMachine):
    """Likewise, with more room in mailboxes, and most of it in rooms."""

    @initialize(public=st.booleans())
    def begin(self, public: bool) -> None:
        self.pair = Pair(WIDE)
        begin: list[Request[Any]] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol", "dan")]
        self.pair.ask(begin)
        self.pair.ask([OpenDevice(1, "laptop", 0, NOW), OpenDevice(2, "laptop", 0, NOW)])
        self.pair.ask([CreateRoom(1, "#Team", public, "t", NOW, public)])
        self.pair.ask([CreateRoom(2, "#den", not public, "", NOW, not public)])
        self.pair.ask([InviteToRoom(1, "#team", name, NOW) for name in ("bob", "carol")])
        self.pair.ask([JoinRoom(number, "#team", NOW + number) for number in (2, 3)])

    @rule(batch=st.lists(requests_with_rooms, min_size=1, max_size=8), look=looks)
    def ask(self, batch: list[Request[Any]], look: bool) -> None:
        self.pair.ask(batch)
        if look:
            self.pair.compare()

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            with closing(self.pair):
                self.pair.compare()


class ManyMessages(RuleBasedStateMachine):
    """So many messages that Expire and Prune have to be asked several times, and the fronts of logs are dropped."""

    @initialize()
    def begin(self) -> None:
        self.pair = Pair(ROOMY)
        begin: list[Request[Any]] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol")]
        self.pair.ask(begin)
        self.pair.ask([OpenDevice(number, "laptop", 0, NOW) for number in (1, 2, 3)])

    @rule(message=messages(), count=st.integers(1, 300))
    def send(self, message: Append, count: int) -> None:
        self.pair.ask([replace(message, id=b"", time=NOW + at % 12) for at in range(count)])

    @rule(member=st.integers(1, 3), left=st.sampled_from([0, 0, 0.2, 0.7]))
    def acknowledge(self, member: int, left: float) -> None:
        self.pair.ask([Acknowledge(member, b"laptop", int(self.pair.ends[member] * left), NOW)])

    @rule(request=about_messages)
    def ask(self, request: Request[Any]) -> None:
        self.pair.ask([request])

    @rule(request=st.one_of(st.builds(Expire, times), st.builds(Prune, times, st.just(0.0))), count=st.integers(1, 6))
    def clean(self, request: Request[Any], count: int) -> None:
        self.pair.ask([request] * count)

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            with closing(self.pair):
                while self.pair.disk.tidy():
                    pass  # a search indexes only so many messages that are not indexed yet
                self.pair.compare()


@pytest.mark.hypothesis
@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [Machine, InRooms, ManyMessages])
def test_stores_agree(machine: type[RuleBasedStateMachine]):
    run_state_machine_as_test(
        machine,
        settings=examples(0.3),
    )
