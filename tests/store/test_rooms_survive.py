"""Random batches of requests in rooms, with failures and restarts of the store on disk, against the one in memory."""

from contextlib import closing
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.examples import examples
from tests.store.faults import Faults
from tests.store.helpers import NOW
from tests.store.test_model import kill
from tests.store.test_twins import WIDE, Pair, requests_with_rooms
from twotick.store import (
    AddMember,
    CreateRoom,
    Expire,
    FindMember,
    InviteToRoom,
    JoinRoom,
    OpenDevice,
    Request,
    Settle,
    SqliteStore,
    StoreError,
)

_NOTHING_EXPIRES = Expire(0.0)
"""It tells a store that was opened from when on messages expire, as a server does."""

batches = st.lists(requests_with_rooms, min_size=1, max_size=8)


class Machine(RuleBasedStateMachine):
    """What the store on disk remembers between batches, and its journal, are lost again and again."""

    @initialize(public=st.booleans())
    def begin(self, public: bool) -> None:
        self.pair = Pair(WIDE)
        self.pair.disk.close()
        self.pair.reference.apply([_NOTHING_EXPIRES])
        self.faults = Faults()
        self._open()
        begin: list[Request[Any]] = [AddMember(name, "", NOW) for name in ("alice", "Bob", "carol", "dan")]
        self.pair.ask(begin)
        self.pair.ask([OpenDevice(1, "laptop", 0, NOW), OpenDevice(2, "laptop", 0, NOW)])
        self.pair.ask([CreateRoom(1, "#Team", public, "t", NOW, public)])
        self.pair.ask([CreateRoom(2, "#den", not public, "", NOW, not public)])
        self.pair.ask([InviteToRoom(1, "#team", name, NOW) for name in ("bob", "carol")])
        self.pair.ask([JoinRoom(number, "#team", NOW + number) for number in (2, 3)])

    def _open(self) -> None:
        with self.faults.installed():
            self.pair.disk = SqliteStore(self.pair.folder, WIDE)
        self.pair.disk.apply([_NOTHING_EXPIRES])

    def _settle(self) -> None:
        """A restart would do it on disk alone."""
        while self.pair.live:
            self.pair.ask([Settle(0, False, "dan is gone", NOW)])

    @rule(batch=batches)
    def ask(self, batch: list[Request[Any]]) -> None:
        self.pair.ask(batch)

    @rule(batch=batches, after=st.integers(0, 60))
    def fail(self, batch: list[Request[Any]], after: int) -> None:
        self.faults.left = after
        try:
            with self.faults.installed():  # it may open another connection
                self.pair.ask([request for request in batch if not isinstance(request, Settle)])
        except StoreError:
            pass  # and the store in memory is not told
        finally:
            self.faults.left = None

    @rule()
    def tidy(self) -> None:
        self.pair.disk.tidy()

    @rule()
    def restart(self) -> None:
        self._settle()
        self.pair.disk.close()
        self._open()

    @rule()
    def is_killed(self) -> None:
        """What the journal holds is all that is left of the last batches."""
        self._settle()
        kill(self.pair.disk)
        self._open()

    @rule()
    def another_process_comes_by(self) -> None:
        """It moves what is in the journal, which the store must notice."""
        beside = SqliteStore(self.pair.folder, WIDE, exclusive=False)
        with closing(beside):
            assert beside.apply([FindMember("nobody")]) == [None]

    @rule()  # no invariant: to look moves what is in the journal, which is to grow sometimes
    def they_hold_the_same(self) -> None:
        self.pair.compare()

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            with closing(self.pair):
                self.pair.compare()


@pytest.mark.hypothesis
@pytest.mark.timeout(600)
def test_rooms_survive(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twotick.store.sqlite.tables._STEP_ROWS", 3)
    monkeypatch.setattr("twotick.store.sqlite.tables._FULL", 12)
    run_state_machine_as_test(
        Machine,
        settings=examples(0.25),
    )
