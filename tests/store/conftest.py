"""Stores on disk and in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.store.helpers import Asker
from twotick.store import StoreLimits

AskerMaker: TypeAlias = Callable[[StoreLimits], Asker]


@pytest.fixture
def new_asker(tmp_path: Path) -> Iterator[AskerMaker]:
    """Makes an empty store on disk; it must be sound at the end of every test."""
    askers: list[Asker] = []

    def make(limits: StoreLimits) -> Asker:
        askers.append(Asker(tmp_path / f"store{len(askers)}", limits))
        return askers[-1]

    yield make
    for asker in askers:
        assert asker.store.check() == []
        asker.store.close()


@pytest.fixture
def asker(new_asker: AskerMaker) -> Asker:
    """alice, bob and carol, each with a device."""
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol")
    return asker
