"""Stores on disk, in memory and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.store.helpers import Asker
from twotick.store import StoreLimits

AskerMaker: TypeAlias = Callable[[StoreLimits], Asker]

ON_BOTH = {
    "test_bots",
    "test_delayed",
    "test_hooks",
    "test_operating",
    "test_pushes",
    "test_rooms",
    "test_search_filters",
    "test_times",
}
"""The modules whose tests run on both stores."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.definition.path.stem
    if "new_asker" in metafunc.fixturenames and name in ON_BOTH:
        metafunc.parametrize("new_asker", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, without a database."""
    from tests.store import postgres_server

    with postgres_server.running() as url:
        yield url


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes a database that has the tables of a store; its URL."""
    from tests.store import postgres_server

    made: list[str] = []

    def make() -> str:
        made.append(postgres_server.new_database(postgres))
        return made[-1]

    yield make
    for url in made:
        postgres_server.drop_database(url)


@pytest.fixture
def new_asker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[AskerMaker]:
    """Makes an empty store; it must be sound at the end of every test."""
    askers: list[Asker] = []
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    database = request.getfixturevalue("new_database") if on_postgres else str  # here, so that it ends after this

    def make(limits: StoreLimits) -> Asker:
        if on_postgres:
            from tests.store.postgres_asker import PostgresAsker

            askers.append(PostgresAsker(database(), limits))
        else:
            askers.append(Asker(tmp_path / f"store{len(askers)}", limits))
        return askers[-1]

    yield make
    for asker in askers:
        assert asker.store.check() == []
        asker.close()


@pytest.fixture
def asker(new_asker: AskerMaker) -> Asker:
    """alice, bob and carol, each with a device."""
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol")
    return asker
