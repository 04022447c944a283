"""Servers to test against, how many examples Hypothesis tries, and an option for `make test`."""

import gc
import os
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from tests.examples import register_profiles
from tests.sockets import ServerProcess, Visitors, serving, visiting
from twotick.server import ServerLimits

register_profiles()

# Texts and dates are English in tests, whatever language the machine has.
os.environ["LC_ALL"] = "C.UTF-8"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets processes in the background ignore SIGINT, which those hand on to the ones that tests stop with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    description = "of the tests in FOLDER, run only those that need much time; `make cover` runs the others"
    parser.addoption("--only-long", action="append", default=[], metavar="FOLDER", help=description)


@pytest.hookimpl(trylast=True)  # after Hypothesis has marked its tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    given: list[str] = config.getoption("--only-long") or []
    folders = {config.rootpath / folder for folder in given}

    def is_long(item: pytest.Item) -> bool:
        return any(item.get_closest_marker(name) is not None for name in ("hypothesis", "volume"))

    def stays(item: pytest.Item) -> bool:
        return is_long(item) or folders.isdisjoint(item.path.parents)

    config.hook.pytest_deselected(items=[item for item in items if not stays(item)])
    items[:] = filter(stays, items)


def pytest_collection_finish() -> None:
    """Let Python not look again and again for garbage among thousands of tests, which are there until the end."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _patient_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no search of a store in this process end early: how far it comes in its time depends on the machine."""
    monkeypatch.setattr("twotick.store.sqlite.search.SEARCH_SECONDS", 60.0)


@pytest.fixture(scope="session")
def server() -> Generator[ServerProcess]:
    """A server with the default limits, shared by all tests."""
    with serving(ServerLimits()) as server:
        yield server


@pytest.fixture
def visitors(server: ServerProcess) -> Generator[Visitors]:
    """The connections of one test to the server that all share; no name is taken."""
    with visiting(server) as visitors:
        yield visitors


@pytest.fixture
def start_server() -> Generator[Callable[[ServerLimits], Visitors]]:
    """Start a server with limits of its own. It is stopped in good order unless it has ended by then."""
    with ExitStack() as stack:
        yield lambda limits: stack.enter_context(visiting(stack.enter_context(serving(limits))))
