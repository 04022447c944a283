"""Who is here, and who types (docs/protocol.md, section 15).

Theory of operation. Devices say whether their owners are here, and are forgotten when they go. At every tick, the store
is asked who may see each member whose state has changed; for the devices of these that have asked for STATUS, the news
waits until the next tick, where the last about a member counts. So a device is told of a member at most once in a tick,
and what does not read its connection holds no more than one line for each member that it may see. Who comes to see
somebody who is not gone is told in the same way; of others nothing need be said.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twotick.exchange.output import Output
from twotick.exchange.question import LIST_MOST, Asked, Question, Wrong, yes_or_no
from twotick.exchange.session import Account, Session
from twotick.store import Audience, Contact, Contacts, Request, SetShown, StoreError
from twotick.wire import Head, Verb, frame, is_name, is_room, time_text

_HERE = b"here"
_AWAY = b"away"
_GONE = b"gone"

_TYPING = 2.0
"""Seconds in which a member can say once that it types in a conversation (rule 15.3)."""

_TYPING_AT_ONCE = 32
"""Conversations in which a member can say so in that time."""


class _Person:
    """A member of whom a device has said something, or others were told that it is not gone.

    Attributes:
        name: the member's name as it is shown.
        said: by device, whether it says that the member is here, and not away.
        state: what comes of that.
        since: since when that is so, in seconds since 1970.
        told: the state that others were told last.
    """

    __slots__ = ("name", "said", "since", "state", "told")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.said: dict[bytes, bool] = {}
        self.state = _GONE
        self.since = 0.0
        self.told = _GONE

    def news(self) -> bytes:
        """What others are told."""
        return _news(self.name, self.state, self.since)


class Presence:
    """Who is here, and whom that concerns.

    Args:
        output: where answers and requests go.
        clock: the time of day, in seconds since 1970.
    """

    def __init__(self, output: Output, clock: Callable[[], float]) -> None:
        self._output = output
        self._clock = clock
        self._people: dict[int, _Person] = {}
        self._changed: dict[int, None] = {}
        # The devices that have asked for STATUS, and what these are to be told at the next tick, by members.
        self._watchers: dict[int, list[Session]] = {}
        self._untold: dict[Session, dict[int, bytes]] = {}
        # When members have said in which conversation they type, soonest first.
        self._typed: dict[int, dict[bytes, float]] = {}

    def tick(self) -> None:
        """Tell devices what has changed, and forget who has typed a while ago."""
        for session, news in list(self._untold.items()):
            if session.window:
                self._output.write(session, *news.values())
                del self._untold[session]
        for member in self._changed:
            person = self._people[member]
            if person.state != person.told:
                person.told = person.state
                audience = Audience(member, b"", person.state == _GONE)
                self._output.ask(audience, partial(self._tell, member, person.news()))
            if not person.said:
                del self._people[member]
        self._changed.clear()
        now = self._clock()
        for member, typed in list(self._typed.items()):
            while typed and next(iter(typed.values())) <= now - _TYPING:
                del typed[next(iter(typed))]
            if not typed:
                del self._typed[member]

    def leave(self, session: Session, account: Account) -> None:
        """A device is gone."""
        self._untold.pop(session, None)
        if watchers := self._watchers.get(account.member):
            if session in watchers:
                watchers.remove(session)
            if not watchers:
                del self._watchers[account.member]
        person = self._people.get(account.member)
        if person is not None and person.said.pop(account.device, None) is not None:
            self._look_at(account.member, person)

    # STATUS

    def ask_status(self, question: Question) -> Asked:
        """STATUS: what a device says of its owner, who wants to know of others (rule 15.1)."""
        state = question.choice(b"state", _HERE, _AWAY)
        shown = question.yes_or_no(b"shown")
        if question.head.name:  # the answer would look like news of somebody
            raise Wrong("STATUS takes no name: it is answered with that of all")
        if state is not None:
            member = question.member
            person = self._people.setdefault(member, _Person(question.session.name))
            person.said[question.account.device] = state == _HERE
            self._look_at(member, person)
        is_shown: list[bool | StoreError] = []
        if shown is None:
            self._output.ask(SetShown(question.member, None), is_shown.append)
        else:
            self.change_audience(question.member, b"", SetShown(question.member, shown), is_shown.append)
        return Contacts(question.member), partial(self._contacts, question, is_shown)

    def _contacts(self, question: Question, is_shown: list[bool | StoreError], found: list[Contact]) -> list[bytes]:
        (shown,) = is_shown
        if isinstance(shown, StoreError):
            raise Wrong(str(shown))
        if question.session.account is question.account:
            watchers = self._watchers.setdefault(question.member, [])
            if question.session not in watchers:
                watchers.append(question.session)
        return [question.list_of([self._contact(each) for each in found], shown=yes_or_no(shown))]

    def _contact(self, contact: Contact) -> dict[str, object]:
        person = self._people.get(contact.member) if contact.shown else None
        state, since = _GONE, contact.seen
        if person is not None:
            state, since = person.state, person.since
        return {"name": contact.name, "state": state.decode(), "since": time_text(since).decode() if since else None}

    def _look_at(self, member: int, person: _Person) -> None:
        state = _GONE
        if person.said:
            state = _HERE if any(person.said.values()) else _AWAY
        if state != person.state:
            person.state = state
            person.since = self._clock()
        self._changed[member] = None

    # Whom it concerns

    def change_audience(self, member: int, peer: bytes, request: Request, callback: Callable[[Any], None]) -> None:
        """Ask the store for something that changes who may see a member, and tell those whom it concerns.

        Args:
            member: the member.
            peer: the user who may begin or cease to see the member; empty for all.
            request: what the store is asked.
            callback: called with the answer.
        """
        before: list[list[int] | StoreError] = []
        self._output.ask(Audience(member, peer), before.append)
        self._output.ask(request, callback)
        self._output.ask(Audience(member, peer), partial(self._audience_changed, member, before))

    def _audience_changed(
        self, member: int, before: list[list[int] | StoreError], after: list[int] | StoreError
    ) -> None:
        (saw,) = before
        person = self._people.get(member)
        if person is None or isinstance(saw, StoreError) or isinstance(after, StoreError):
            return
        self._tell(member, _news(person.name, _GONE, self._clock()), list(set(saw).difference(after)))
        self._tell(member, person.news(), list(set(after).difference(saw)))

    def begin(self, member: int, peer: bytes) -> None:
        """A user, or those in a room, have come to see a member: let them be told where it is (rule 15.5)."""
        if self._watchers and member in self._people:
            self._output.ask(Audience(member, peer), partial(self._tell_present, member))

    def join(self, member: int, room: bytes) -> None:
        """A member may have joined a room: likewise for the others there, and for the member."""
        self.begin(member, room)
        if member in self._watchers:
            self._output.ask(Contacts(member, room), partial(self._tell_of_all, member))

    def _tell_present(self, member: int, audience: list[int] | StoreError) -> None:
        person = self._people.get(member)
        # What has changed since the last tick is told to everybody at the next one.
        if person is not None and person.state == person.told != _GONE:
            self._tell(member, person.news(), audience)

    def _tell_of_all(self, member: int, found: list[Contact] | StoreError) -> None:
        if not isinstance(found, StoreError):
            for contact in found:
                if contact.shown:
                    self._tell_present(contact.member, [member])

    def _tell(self, member: int, news: bytes, audience: list[int] | StoreError) -> None:
        """Let devices of those who may see a member be told of it, as far as they have asked."""
        if isinstance(audience, StoreError):
            return
        for each in audience:
            for session in self._watchers.get(each, ()):
                untold = self._untold.setdefault(session, {})
                if member in untold or len(untold) < LIST_MOST:
                    untold[member] = news

    # TYPING

    def take_typing(self, session: Session, account: Account, head: Head) -> None:
        """TYPING: tell those who may know (rule 15.3)."""
        typed = self._typed.setdefault(account.member, {})
        now = self._clock()
        if head.key in typed and typed[head.key] > now - _TYPING:
            return
        typed.pop(head.key, None)
        if len(typed) >= _TYPING_AT_ONCE or not self._watchers or not (is_name(head.name) or is_room(head.name)):
            return
        typed[head.key] = now
        news = frame(Verb.TYPING, session.name, to=head.name if is_room(head.name) else None)
        self._output.ask(Audience(account.member, head.key), partial(self._tell_typing, news))

    def _tell_typing(self, news: bytes, audience: list[int] | StoreError) -> None:
        if isinstance(audience, StoreError):
            return
        for each in audience:
            for session in self._watchers.get(each, ()):
                if session.window:
                    self._output.write(session, news)


def _news(name: bytes, state: bytes, since: float) -> bytes:
    return frame(Verb.STATUS, name, state=state, since=time_text(since))
