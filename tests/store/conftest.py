"""A store in memory."""

from collections.abc import Iterator

import pytest

from tests.store.helpers import Asker


@pytest.fixture
def asker() -> Iterator[Asker]:
    """alice, bob and carol, each with a device; whatever happened, the database is sound in the end."""
    asker = Asker()
    asker.add("alice", "bob", "carol")
    yield asker
    assert asker.store.check() == []
    asker.store.close()
