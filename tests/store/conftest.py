"""Stores of both kinds, which mean the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.store.helpers import Asker
from twotick.store.records import StoreLimits

AskerMaker: TypeAlias = Callable[[StoreLimits], Asker]


@pytest.fixture(params=["disk", "memory"])
def new_asker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AskerMaker]:
    """Makes an empty store; whatever happened, it is sound in the end."""
    askers: list[Asker] = []

    def make(limits: StoreLimits) -> Asker:
        folder = tmp_path / f"store{len(askers)}" if request.param == "disk" else None
        askers.append(Asker(folder, limits))
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
