"""A server that speaks IRC."""

from collections.abc import Generator

import pytest

from tests.irc.place import IrcPlace, placed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[IrcPlace]:
    """A server that the tests of a module share; each uses members of its own."""
    with placed(tmp_path_factory.mktemp("irc")) as place:
        yield place
