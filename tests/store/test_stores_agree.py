"""Random batches of requests, to a store on disk and to one in memory: they answer the same, and hold the same.

TWOTICK_STORE_EXAMPLES says how many sequences are tried, 50 if it says nothing.
"""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.store.helpers import NOW
from twotick.store import (
    Acknowledge,
    AddInvitation,
    AddMember,
    AddToken,
    Append,
    Appended,
    Devices,
    Entry,
    Expire,
    Fetch,
    Fetched,
    FindMember,
    FindToken,
    History,
    Known,
    MarkRead,
    Members,
    MemoryStore,
    OpenDevice,
    Opened,
    Outcome,
    Prune,
    Refuse,
    RemoveMember,
    Request,
    Result,
    Revoke,
    SetPassword,
    Settle,
    SqliteStore,
    StoreLimits,
)

LIMITS = StoreLimits(mailbox_entries=4, mailbox_bytes=40, devices=3)
ROOMY = StoreLimits(mailbox_entries=100_000, mailbox_bytes=1 << 30, devices=3)
MEMBERS = 6
"""Numbers of members that are asked about; the last of them are there only after others were removed."""

names = st.sampled_from(["alice", "Bob", "CAROL", "alice", "bob", "dan"])
members = st.one_of(st.integers(1, 3), st.integers(1, 3), st.integers(1, MEMBERS))
devices = st.sampled_from(["laptop", "laptop/listen", "phone", "tablet"])
devices_bytes = devices.map(str.encode)
numbers = st.one_of(st.integers(0, 12), st.integers(0, 60))
peers = st.sampled_from([b"alice", b"BOB", b"carol", b"guest", b"all", b""])
tokens = st.sampled_from([b"one", b"two", b"three"])
times = st.integers(0, 12).map(lambda second: NOW + second)

Drawn = TypeVar("Drawn")


def rarely(strategy: st.SearchStrategy[Drawn], other: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """One time in ten the one, else the other."""
    return st.integers(1, 10).flatmap(lambda chance: strategy if chance == 10 else other)


@st.composite
def messages(draw: st.DrawFn) -> Append:
    sender = draw(st.one_of(st.none(), members))
    to = tuple(draw(st.one_of(members.map(lambda one: [one]), st.lists(members, max_size=4, unique=True))))
    return Append(
        sender,
        b"guest" if sender is None else draw(st.sampled_from([b"alice", b"bob", b"Carol"])),
        b"" if sender is None else draw(devices_bytes),
        draw(st.one_of(st.just(b""), st.integers(1, 30).map(lambda number: b"%d" % number))),
        draw(st.sampled_from([b"Alice", b"bob", b"carol"])) if len(to) == 1 else b"ALL",
        to,
        draw(st.booleans()) if len(to) != 1 else False,
        b"X-a: 1\n",
        b"x" * draw(st.integers(0, 25)),
        draw(times),
        draw(st.one_of(st.none(), times)),
    )


about_messages: st.SearchStrategy[Request] = st.one_of(
    messages(),
    messages(),
    messages(),
    messages(),
    st.builds(Acknowledge, members, devices_bytes, numbers, times),
    st.builds(Acknowledge, members, devices_bytes, numbers, times),
    st.builds(Acknowledge, members, devices_bytes, numbers, times),
    st.builds(Refuse, members, devices_bytes, numbers, times),
    st.builds(MarkRead, members, devices_bytes, peers, numbers, times),
    st.builds(Settle, st.integers(1, 30), st.booleans(), st.just("dan is gone"), times),
    st.builds(OpenDevice, members, devices, st.one_of(st.just(0), numbers), times),
    st.builds(Revoke, members, devices),
    st.builds(Expire, times),
    st.builds(Prune, times, st.integers(0, 6).map(float)),
    st.builds(Fetch, members, st.integers(0, 12), st.integers(0, 6), st.integers(0, 60)),
    st.builds(History, members, peers, numbers, st.one_of(st.just(0.0), times), st.integers(0, 6), st.integers(0, 60)),
)
about_members: st.SearchStrategy[Request] = st.one_of(
    st.builds(AddMember, names, st.sampled_from(["", "hash"]), times, st.one_of(st.none(), tokens)),
    st.builds(AddMember, names, st.sampled_from(["", "hash"]), times),
    st.builds(RemoveMember, names),
    st.builds(SetPassword, names, st.sampled_from(["new", "newer"])),
    st.builds(FindMember, names),
    st.builds(AddInvitation, tokens, times),
    st.builds(AddToken, members, devices, tokens, times),
    st.builds(FindToken, tokens),
)
requests = rarely(about_members, about_messages)
contents: list[Request] = [
    Members(),
    *(FindToken(token) for token in (b"one", b"two", b"three")),
    *(Fetch(number, 0, 10_000, 1 << 30) for number in range(1, MEMBERS + 1)),
    *(Devices(number) for number in range(1, MEMBERS + 1)),
    *(
        History(number, peer, 0, 0, 10_000)
        for number in range(1, MEMBERS + 1)
        for peer in (b"alice", b"bob", b"carol", b"guest", b"all", b"")
    ),
]


class Pair:
    """A store on disk and one in memory, which are asked the same."""

    def __init__(self, limits: StoreLimits):
        self.folder = Path(tempfile.mkdtemp(prefix="twotick-"))
        self.disk = SqliteStore(self.folder, limits)
        self.memory = MemoryStore(limits)
        # The numbers of messages differ: the store on disk gives those of messages that are gone a second time.
        self.on_disk: dict[int, int] = {}
        self.in_memory: dict[int, int] = {}

    def ask(self, batch: list[Request]) -> None:
        batch = [one for one in batch if not isinstance(one, Settle) or one.message in self.in_memory]
        for_memory = [
            replace(one, message=self.in_memory[one.message]) if isinstance(one, Settle) else one for one in batch
        ]
        answers = zip(batch, self.disk.apply(batch), self.memory.apply(for_memory), strict=True)
        for request, expected, result in answers:
            if isinstance(expected, Appended) and isinstance(result, Appended):
                self.on_disk[result.message] = expected.message
                self.in_memory[expected.message] = result.message
            assert self._renumbered(result) == expected, request

    def compare(self) -> None:
        self.ask(contents)
        assert self.disk.check() == self.memory.check() == []

    def close(self) -> None:
        self.disk.close()
        shutil.rmtree(self.folder)

    def _renumbered(self, result: Result) -> Result:
        """An answer of the store in memory, with the numbers that messages have on disk."""
        match result:
            case Appended():
                return Appended(self.on_disk[result.message], self._outcome(result.outcome))
            case Known():
                return replace(result, message=self.on_disk[result.message])
            case Outcome():
                return self._outcome(result)
            case Opened():
                return replace(result, outcome=self._outcome(result.outcome))
            case Fetched():
                return replace(result, entries=self._entries(result.entries))
            case _:
                return result

    def _outcome(self, outcome: Outcome) -> Outcome:
        guests = [(self.on_disk[number], state, reason) for number, state, reason in outcome.guests]
        return Outcome(self._entries(outcome.entries), guests)

    def _entries(self, entries: list[Entry]) -> list[Entry]:
        return [replace(entry, message=self.on_disk[entry.message]) for entry in entries]


class Machine(RuleBasedStateMachine):
    """Requests of every kind, with so few names, Ids and places in mailboxes that they get into each other's way."""

    @initialize()
    def begin(self) -> None:
        self.pair = Pair(LIMITS)
        begin: list[Request] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol")]
        self.pair.ask([*begin, OpenDevice(1, "laptop", 0, NOW), OpenDevice(2, "laptop", 0, NOW)])

    @rule(batch=st.lists(requests, min_size=1, max_size=8))
    def ask(self, batch: list[Request]) -> None:
        self.pair.ask(batch)

    @invariant()
    def they_hold_the_same(self) -> None:
        self.pair.compare()

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.pair.close()


class ManyMessages(RuleBasedStateMachine):
    """So many messages that Expire and Prune have to be asked several times, and the fronts of logs are dropped."""

    @initialize()
    def begin(self) -> None:
        self.pair = Pair(ROOMY)
        begin: list[Request] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol")]
        self.pair.ask([*begin, *(OpenDevice(number, "laptop", 0, NOW) for number in (1, 2, 3))])

    @rule(message=messages(), count=st.integers(1, 300))
    def send(self, message: Append, count: int) -> None:
        self.pair.ask([replace(message, id=b"", time=NOW + at % 12) for at in range(count)])

    @rule(member=st.integers(1, 3), share=st.sampled_from([0.3, 0.8, 1.0]))
    def acknowledge(self, member: int, share: float) -> None:
        (fetched,) = self.pair.memory.apply([Fetch(member, 0, 0, 0)])
        (opened,) = self.pair.memory.apply([OpenDevice(member, "laptop", 0, NOW)])
        self.pair.disk.apply([OpenDevice(member, "laptop", 0, NOW)])
        assert isinstance(fetched, Fetched)
        assert isinstance(opened, Opened)
        self.pair.ask([Acknowledge(member, b"laptop", int(opened.last * share), NOW)])

    @rule(request=about_messages)
    def ask(self, request: Request) -> None:
        self.pair.ask([request])

    @rule(request=st.one_of(st.builds(Expire, times), st.builds(Prune, times, st.just(0.0))), count=st.integers(1, 6))
    def clean(self, request: Request, count: int) -> None:
        self.pair.ask([request] * count)

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.pair.compare()
            self.pair.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [Machine, ManyMessages])
def test_stores_agree(machine: type[RuleBasedStateMachine]):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("TWOTICK_STORE_EXAMPLES", "50")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
