"""Random batches of requests, on disk, with failures and restarts in between, against the model."""

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.examples import examples
from tests.store.faults import Faults
from tests.store.helpers import NOW
from tests.store.model import Model
from twotick.store.port import Request, StoreError, StoreLimits
from twotick.store.requests.members import AddMember, FindMember, Member, OpenDevice, Revoke
from twotick.store.requests.messages import Acknowledge, Append, Expire, Fetch, History, MarkRead, Prune, Refuse, Settle
from twotick.store.sqlite.store import SqliteStore

LIMITS = StoreLimits(mailbox_entries=4, mailbox_bytes=40, devices=2)
NAMES = {1: "alice", 2: "Bob", 3: "carol"}

members = st.sampled_from(list(NAMES))
devices = st.sampled_from(["laptop", "phone", "tablet"])
devices_bytes = devices.map(str.encode)
numbers = st.one_of(st.integers(0, 12), st.integers(0, 60))
peers = st.sampled_from([b"alice", b"BOB", b"carol", b"dan", b""])
recipients = st.sampled_from([(1,), (2,), (3,), (1,), (2,), (3,), (1, 2, 3), (1, 3), ()])


@st.composite
def messages(draw: st.DrawFn) -> Append:
    sender = draw(st.sampled_from([None, 1, 2, 3]))
    to = draw(recipients)
    live = draw(st.booleans()) if len(to) != 1 else False
    return Append(
        sender=sender,
        sender_name=b"dan" if sender is None else NAMES[sender].encode(),
        device=b"" if sender is None else draw(devices_bytes),
        id=b"%d" % draw(st.integers(1, 30)),
        recipient=NAMES[to[0]].encode() if len(to) == 1 else b"ALL",
        members=to,
        live=live,
        headers=b"X-a: 1\n",
        body=b"x" * draw(st.integers(0, 25)),
        time=NOW,
        expires=draw(st.sampled_from([None, None, NOW + 3, NOW + 6])),
    )


requests = st.one_of(
    messages(),
    messages(),
    messages(),
    st.builds(Acknowledge, members, devices_bytes, numbers, st.just(NOW)),
    st.builds(Acknowledge, members, devices_bytes, numbers, st.just(NOW)),
    st.builds(Refuse, members, devices_bytes, numbers, st.just(NOW)),
    st.builds(MarkRead, members, devices_bytes, peers, numbers, st.just(NOW)),
    st.builds(Settle, st.integers(1, 20), st.booleans(), st.just("dan is gone"), st.just(NOW)),
    st.builds(OpenDevice, members, devices, st.one_of(st.just(0), numbers), st.just(NOW)),
    st.builds(Revoke, members, devices),
    st.builds(Fetch, members, st.integers(0, 12), st.integers(0, 6), st.integers(0, 60)),
    st.builds(History, members, peers, numbers, st.sampled_from([0.0, NOW, NOW + 5]), st.integers(1, 6)),
    st.builds(Expire, st.sampled_from([NOW, NOW + 3, NOW + 6])),
    st.builds(Prune, st.just(NOW + 20), st.just(10.0)),
)


def kill(store: SqliteStore) -> None:
    """Leave a store as a process does that is killed."""
    inside: dict[str, Any] = dict(vars(store._database))  # pyright: ignore[reportPrivateUsage]
    if inside["_checkpointer"] is not None:
        inside["_checkpointer"].close()
    if inside["_connection"] is not None:
        inside["_connection"].close()
    inside["_turn"].close()
    os.close(inside["_lock"])


class Machine(RuleBasedStateMachine):
    """A store on disk and a model of it are asked the same."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="twotick-"))
        self.faults = Faults()
        self._open()
        for number, name in NAMES.items():
            (member,) = self.store.apply([AddMember(name, "", NOW)])
            assert member == Member(number, name, "")
        self.model = Model(LIMITS, NAMES)
        self.ask([OpenDevice(1, "laptop", 0, NOW), OpenDevice(2, "laptop", 0, NOW)])

    def _open(self) -> None:
        with self.faults.installed():
            self.store = SqliteStore(self.folder, LIMITS)

    @rule(batch=st.lists(requests, min_size=1, max_size=8))
    def ask(self, batch: list[Request[Any]]) -> None:
        results = self.store.apply(batch)
        for request, result in zip(batch, results, strict=True):
            assert result == self.model.answer(request, result), request

    @rule(batch=st.lists(requests, min_size=1, max_size=4), after=st.integers(0, 12))
    def fail(self, batch: list[Request[Any]], after: int) -> None:
        self.faults.left = after
        try:
            with self.faults.installed():  # it may open another connection
                results = self.store.apply(batch)
        except StoreError:
            return  # and the model is not told
        finally:
            self.faults.left = None
        for request, result in zip(batch, results, strict=True):
            assert result == self.model.answer(request, result), request

    @rule()
    def restart(self) -> None:
        self.store.close()
        self._open()
        self.model.restart()

    @rule()
    def is_killed(self) -> None:
        """What the journal holds is all that is left of the last batches."""
        kill(self.store)
        self._open()
        self.model.restart()

    @rule()
    def tidy(self) -> None:
        """Some rows move from the journal to their tables, and others stay."""
        self.store.tidy()

    @rule(look=st.booleans())
    def another_process_comes_by(self, look: bool) -> None:
        """It moves what is in the journal, which the store must notice."""
        beside = SqliteStore(self.folder, LIMITS, exclusive=False)
        with closing(beside):
            if look:
                assert beside.check() == []
            else:
                assert beside.apply([FindMember("nobody")]) == [None]

    @rule()  # no invariant: to look moves what is in the journal, which is to grow sometimes
    def logs_are_the_same_and_sound(self) -> None:
        fetches: list[Request[Any]] = [Fetch(number, 0, 1000, 1 << 30) for number in NAMES]
        for request, result in zip(fetches, self.store.apply(fetches), strict=True):
            assert result == self.model.answer(request, result)
        assert self.store.check() == []

    def teardown(self) -> None:
        try:
            self.logs_are_the_same_and_sound()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)


@pytest.mark.hypothesis
@pytest.mark.timeout(300)
def test_a_store_does_what_the_model_does(monkeypatch: pytest.MonkeyPatch):
    """Rows move from the journal in steps so small that every step is interrupted by something."""
    monkeypatch.setattr("twotick.store.sqlite.tables._STEP_ROWS", 3)
    monkeypatch.setattr("twotick.store.sqlite.tables._FULL", 12)
    run_state_machine_as_test(
        Machine,
        settings=examples(0.4),
    )
