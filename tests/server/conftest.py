"""A server with members."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.server.place import Place, placed


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    """A server with the members alice, bob and carol."""
    with placed(tmp_path) as place:
        yield place
