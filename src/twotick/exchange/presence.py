"""Who is here, and who is typing (docs/protocol.md, section 15).

Theory of operation. Devices say whether their owners are here or away; a device that disconnects says nothing any more.
What changes is announced at ticks. At one tick the exchange asks the store who may see each member whose state has
changed; the devices of those that have sent STATUS are told at the next tick (watchers.py).

A user who comes to see a member later, for example by joining a room, is told in the same way, unless the member is
gone.

Of servers that share a database, each tells the others what its devices say of a member, as if the server were one
device: its name is a space and the number of the server. Each tells its own devices, and asks the store who may know.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from twotick.exchange.connection import Connection, MemberDevice, NotUnderstood
from twotick.exchange.news import BEGIN, END, Item, ServerNews, bytes_of, number_of, text_of
from twotick.exchange.output import Output
from twotick.exchange.watchers import Watchers
from twotick.store import Answer, Contact, ListAudience, ListContacts, Refusal, Request, SetShown, StoreError
from twotick.wire import Head, Verb, frame, is_name, is_room, time_text

HERE = b"here"
AWAY = b"away"
GONE = b"gone"

_TYPING = 2.0
"""The seconds in which a member can say once that it types in a conversation (rule 15.3)."""

_TYPING_AT_ONCE = 32
"""The most conversations in which a member can say so in that time."""

_STATE: Final = "state"
_TYPES: Final = "typing"
_SEES: Final = "sees"
_COMES: Final = "comes"
"""News for other servers: where a member is; that it types; that others see it from now on, or no more; that a user or
a room sees it from now on."""

_FEW: Final = 16
"""The most members whom the store is asked about one by one."""

_LOOKS_AT_ONCE: Final = 16
"""The members who look at all others again in one tick."""


class _MemberPresence:
    """The presence of a member of whom a device has said something, or of whom others were told that it is not gone.

    Attributes:
        name: the member's name as it is shown.
        said: whether each device says that the member is here, and not away.
        state: the state that follows from that.
        since: when the member got into that state, in seconds since 1970.
        told: the state that others were told last.
        shared: the state here that other servers were told last.
    """

    __slots__ = ("name", "said", "shared", "since", "state", "told")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.said: dict[bytes, bool] = {}
        self.state = GONE
        self.since = 0.0
        self.told = GONE
        self.shared = GONE

    def state_here(self) -> bytes:
        """Return the state that follows from what the devices say that are connected to this server."""
        return _state_of(here for device, here in self.said.items() if device[:1] != b" ")

    def news(self) -> bytes:
        """Return the frame that tells others of the member."""
        return _news(self.name, self.state, self.since)


class PresenceTracker:
    """The presence of all members, and the devices that are told of it.

    Args:
        output: takes what is written and the requests.
        clock: returns the time of day, in seconds since 1970.
        news: tells other servers.
    """

    def __init__(self, output: Output, clock: Callable[[], float], news: ServerNews) -> None:
        self._output = output
        self._news = news
        news.handlers |= {
            _STATE: self._take_state,
            _TYPES: self._take_types,
            _SEES: self._take_sees,
            _COMES: self._take_comes,
            BEGIN: self._take_begin,
            END: self._take_end,
        }
        news.say_all.append(self._say_all)
        news.on_missed.append(self._look_again)
        news.on_gone.append(self._lose)
        # Members of whom a server says something that it has not said again since it began to say all.
        self._unsaid: dict[int, set[int]] = {}
        self._to_look: dict[int, None] = {}  # the members who look at all others again
        self._clock = clock
        self._members: dict[int, _MemberPresence] = {}
        self._changed: dict[int, None] = {}
        self._watchers = Watchers(output)  # the devices that have sent STATUS
        # The devices that know a state of a member before it is announced, by member. If the member changes back by the
        # next tick, only they are told.
        self._early: dict[int, dict[Connection, bytes]] = {}
        # When members have said in which conversation they type, soonest first.
        self._typed: dict[int, dict[bytes, float]] = {}

    @property
    def has_news(self) -> bool:
        """Whether something has changed of which devices are not told yet."""
        return bool(self._changed) or self._watchers.has_news

    def tick(self) -> None:
        """Tell devices what has changed, and forget who has typed a while ago."""
        self.announce()
        self._look()
        now = self._clock()
        for member, typed in list(self._typed.items()):
            while typed and not _is_recent(next(iter(typed.values())), now):
                del typed[next(iter(typed))]
            if not typed:
                del self._typed[member]

    def tell(self) -> None:
        """Tell devices what the store has answered."""
        self._watchers.tick()

    def announce(self) -> None:
        """Tell devices what the store has answered, and ask it who is to be told of what has changed."""
        self._watchers.tick()
        for member in self._changed:
            presence = self._members[member]
            self._share(member, presence)
            if presence.state == presence.told:
                self._correct(member, presence)
            else:
                presence.told = presence.state
                audience = ListAudience(member, b"", presence.state == GONE)
                self._output.ask(audience, partial(self._tell, member, presence.news()))
            if not presence.said:
                del self._members[member]
        self._changed.clear()
        self._early.clear()

    def leave(self, connection: Connection, device: MemberDevice) -> None:
        """Forget what a device has said, and that it has sent STATUS: it is gone."""
        for early in self._early.values():
            early.pop(connection, None)
        self._watchers.remove(connection, device)
        presence = self._members.get(device.member)
        if presence is not None and presence.said.pop(device.name, None) is not None:
            self._update(device.member, presence)

    # STATUS (rule 15.1)

    def say(self, connection: Connection, device: MemberDevice, *, here: bool) -> None:
        """Note that a device says that its owner is here, or away."""
        presence = self._members.setdefault(device.member, _MemberPresence(connection.name))
        presence.said[device.name] = here
        self._update(device.member, presence)

    def watch(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a device of others from now on."""
        self._watchers.add(connection, device)

    def state(self, contact: Contact, connection: Connection) -> tuple[bytes, float]:
        """Return the state of a member as others see it, and since when; 0 for a member who is gone.

        It is not told since when a member is gone: of those who hide, it could not be told either (rule 15.1).

        Args:
            contact: the member.
            connection: the device that is told.
        """
        presence = self._members.get(contact.member) if contact.shown else None
        if presence is None:
            return GONE, 0.0
        self._know_early(contact.member, presence, connection)
        return (GONE, 0.0) if presence.state == GONE else (presence.state, presence.since)

    def _know_early(self, member: int, presence: _MemberPresence, connection: Connection) -> None:
        """Note that a device is told a member's state, which may not be announced yet."""
        if presence.state != presence.told:
            self._early.setdefault(member, {})[connection] = presence.state

    def _correct(self, member: int, presence: _MemberPresence) -> None:
        """Let the devices that know a state of a member that was never announced be told that it is over."""
        for connection, known in self._early.get(member, {}).items():
            if known != presence.state:
                self._watchers.tell_device(connection, member, presence.news())

    def _update(self, member: int, presence: _MemberPresence, since: float | None = None) -> None:
        state = _state_of(presence.said.values())
        if state != presence.state:
            now = self._clock()
            presence.state = state
            presence.since = now if since is None else min(since, now)
        self._changed[member] = None

    # Who may see whom

    def change_audience(
        self, member: int, peer: bytes, request: Request[Answer], callback: Callable[[Answer | StoreError], None]
    ) -> None:
        """Send the store a request that changes who may see a member, and tell those whom that concerns.

        Args:
            member: the member.
            peer: the user, or the room, who may begin or cease to see the member.
            request: the request.
            callback: called with its answer.
        """

        def answered(
            before: list[int] | StoreError, answer: Answer | StoreError, after: list[int] | StoreError
        ) -> None:
            callback(answer)
            presence = self._members.get(member)
            if presence is None or isinstance(before, StoreError) or isinstance(after, StoreError):
                return
            self._tell_gone(member, presence, list(set(before).difference(after)))
            self._tell_new(member, presence, list(set(after).difference(before)))
            if changed := sorted(set(before).symmetric_difference(after)):
                self._news.tell(_SEES, member, changed)

        audience = ListAudience(member, peer)
        self._output.ask_together((audience, request, audience), answered)

    def show(self, device: MemberDevice, shown: bool, callback: Callable[[bool | Refusal | StoreError], None]) -> None:
        """Set whether others may see a member, and tell those whom that concerns (rule 15.1).

        They may be many, so the store finds them in steps, after the change: who comes to see the member later learns
        then what is true.

        Args:
            device: the member's device that asks.
            shown: whether they may.
            callback: called with whether they may.
        """
        member = device.member

        def answered(before: bool | StoreError, after: bool | Refusal | StoreError) -> None:
            callback(after)
            if member in self._members and before is not after and isinstance(after, bool):
                # Those who would see the member, also if it hides now.
                audience = ListAudience(member, b"", is_for_profile=True)
                self._output.ask(audience, partial(self._tell_shown, member, after))

        self._output.ask_together((SetShown(member, None), device.guarded(SetShown(member, shown))), answered)

    def _tell_shown(self, member: int, shown: bool, audience: list[int] | StoreError) -> None:
        presence = self._members.get(member)
        if presence is None or isinstance(audience, StoreError):
            return
        self._news.tell(_SEES, member, audience)
        if shown:
            self._tell_new(member, presence, audience)
        else:
            self._tell_gone(member, presence, audience)

    def _tell_gone(self, member: int, presence: _MemberPresence, audience: list[int]) -> None:
        """Tell those who see a member no more that it is gone."""
        self._tell(member, _news(presence.name, GONE, self._clock()), audience)

    def _tell_new(self, member: int, presence: _MemberPresence, audience: list[int]) -> None:
        """Tell those who see a member from now on where it is."""
        self._tell(member, presence.news(), audience)
        for each in audience:
            for connection in self._watchers.of(each):
                self._know_early(member, presence, connection)

    def begin(self, member: int, peer: bytes) -> None:
        """Tell a user, or those in a room, where a member is whom they see from now on (rule 15.5)."""
        self._begin(member, peer)
        if member in self._members:
            self._news.tell(_COMES, member, text_of(peer))

    def _begin(self, member: int, peer: bytes) -> None:
        if member in self._members:
            self._output.ask(ListAudience(member, peer), partial(self._tell_present, member))

    def join(self, member: int, room: bytes) -> None:
        """Tell a member who may have joined a room of the others there, and the others of the member."""
        self.begin(member, room)
        if member in self._watchers:
            self._output.ask(ListContacts(member, room), partial(self._tell_of_all, member))

    def _tell_present(self, member: int, audience: list[int] | StoreError) -> None:
        presence = self._members.get(member)
        # All who may see the member are told at the next tick of what has changed since the last one.
        if presence is not None and presence.state == presence.told != GONE:
            self._tell(member, presence.news(), audience)

    def _tell_of_all(self, member: int, found: list[Contact] | StoreError) -> None:
        if not isinstance(found, StoreError):
            for contact in found:
                if contact.shown:
                    self._tell_present(contact.member, [member])

    def _tell(self, member: int, news: bytes, audience: list[int] | StoreError) -> None:
        """Let the devices of those who may see a member, and have sent STATUS, be told of it at the next tick."""
        if not isinstance(audience, StoreError):
            self._watchers.tell(member, news, audience)

    # TYPING (rule 15.3)

    def take_typing(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a TYPING, and tell those who may know."""
        if not head.name:
            raise NotUnderstood
        device = connection.device
        if device is None or device.is_bot:
            return
        typed = self._typed.setdefault(device.member, {})
        now = self._clock()
        if head.key in typed and _is_recent(typed[head.key], now):
            return
        typed.pop(head.key, None)
        if len(typed) >= _TYPING_AT_ONCE or not (is_name(head.name) or is_room(head.name)):
            return
        typed[head.key] = now
        self._news.tell(_TYPES, device.member, text_of(connection.name), text_of(head.name))
        self._typing(device.member, connection.name, head.name)

    def _typing(self, member: int, name: bytes, peer: bytes) -> None:
        news = frame(Verb.TYPING, name, to=peer if is_room(peer) else None)
        self._output.ask(ListAudience(member, peer.lower()), partial(self._tell_typing, news))

    def _tell_typing(self, news: bytes, audience: list[int] | StoreError) -> None:
        if isinstance(audience, StoreError):
            return
        for each in audience:
            for connection in self._watchers.of(each):
                if connection.window:
                    self._output.write(connection, news)

    # Other servers

    def _share(self, member: int, presence: _MemberPresence) -> None:
        """Tell other servers what has changed here."""
        state = presence.state_here()
        if state != presence.shared:
            presence.shared = state
            self._news.tell(*_shared(member, presence))

    def _say_all(self) -> list[Item]:
        return [_shared(member, presence) for member, presence in self._members.items() if presence.shared != GONE]

    def _take_state(self, server: int, said: Item) -> None:
        """Take where a member is, as another server says."""
        number, name, state, time = said
        member, key = number_of(number), b" %d" % server
        since = float(time)
        if not (is_name(bytes_of(name)) and 0 <= since < 1 << 40):
            raise ValueError
        self._unsaid.get(server, set()).discard(member)
        if state in ("here", "away"):
            presence = self._members.setdefault(member, _MemberPresence(bytes_of(name)))
            if presence.said.get(key) is not (state == "here"):
                presence.said[key] = state == "here"
                self._update(member, presence, since)
        else:
            self._take_gone(member, key)

    def _take_gone(self, member: int, key: bytes) -> None:
        presence = self._members.get(member)
        if presence is not None and presence.said.pop(key, None) is not None:
            self._update(member, presence)

    def _take_begin(self, server: int, _: Item) -> None:
        key = b" %d" % server
        self._unsaid[server] = {member for member, presence in self._members.items() if key in presence.said}

    def _take_end(self, server: int, _: Item) -> None:
        for member in sorted(self._unsaid.pop(server, ())):
            self._take_gone(member, b" %d" % server)

    def _lose(self, server: int) -> None:
        """Forget what a server has said that does not live any more."""
        self._take_begin(server, [])
        self._take_end(server, [])

    def _take_types(self, _: int, said: Item) -> None:
        """Take that a member types."""
        number, name, peer = said
        to = bytes_of(peer)
        if not (is_name(bytes_of(name)) and (is_name(to) or is_room(to))):
            raise ValueError
        if self._watchers:
            self._typing(number_of(number), bytes_of(name), to)

    def _take_comes(self, _: int, said: Item) -> None:
        """Take that a user, or a room, may see a member from now on."""
        number, peer = said
        if self._watchers:
            self._begin(number_of(number), bytes_of(peer).lower())

    def _take_sees(self, _: int, said: Item) -> None:
        """Take that others may have begun or ceased to see a member: the store knows which."""
        number, others = said
        member = number_of(number)
        concerned = [other for other in map(number_of, others) if other in self._watchers]
        if member not in self._members:
            return
        if len(concerned) > _FEW:
            self._output.ask(ListAudience(member, b""), partial(self._tell_who_sees, member, concerned))
            return
        for other in concerned:
            name = self._watchers.of(other)[0].key
            self._output.ask(ListAudience(member, name), partial(self._tell_who_sees, member, [other]))

    def _tell_who_sees(self, member: int, concerned: list[int], audience: list[int] | StoreError) -> None:
        presence = self._members.get(member)
        if presence is None or isinstance(audience, StoreError):
            return
        seeing = set(audience)
        self._tell_gone(member, presence, [other for other in concerned if other not in seeing])
        self._tell_new(member, presence, [other for other in concerned if other in seeing])

    def _look_again(self) -> None:
        """Let all who are told of others be told once more of all whom they see: something may have been missed."""
        self._to_look.update(dict.fromkeys(self._watchers.members()))

    def _look(self) -> None:
        for member in list(self._to_look)[:_LOOKS_AT_ONCE]:
            del self._to_look[member]
            self._output.ask(ListContacts(member), partial(self._tell_again, member))

    def _tell_again(self, member: int, found: list[Contact] | StoreError) -> None:
        if isinstance(found, StoreError):
            self._to_look[member] = None
            return
        for contact in found:
            presence = self._members.get(contact.member)
            if presence is not None and contact.shown:
                self._tell_new(contact.member, presence, [member])
            elif presence is not None:
                self._tell_gone(contact.member, presence, [member])


def _state_of(said: Iterable[bool]) -> bytes:
    """Return the state of a member of whom devices say so many times that it is here, and not away."""
    state = GONE
    for here in said:
        if here:
            return HERE
        state = AWAY
    return state


def _shared(member: int, presence: _MemberPresence) -> Item:
    """Return the news that tell other servers where a member is."""
    return [_STATE, member, text_of(presence.name), text_of(presence.shared), presence.since]


def _news(name: bytes, state: bytes, since: float) -> bytes:
    return frame(Verb.STATUS, name, state=state, since=time_text(since))


def _is_recent(typed: float, now: float) -> bool:
    """Return whether a member has typed so recently that it is not told again. The clock may have been set back."""
    return now - _TYPING < typed <= now
