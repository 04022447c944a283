"""What lasts after the app has ended: choices, the state of the terminal, and the reason."""

import json
import signal
import sys
import termios
from pathlib import Path

import pexpect
import pytest

from tests.cli.operating import people
from tests.ui.app.examples import message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.test_on_a_terminal import home
from tests.ui.terminal import terminal
from twotick.ui.app.storage.choices import Choices
from twotick.ui.app.widgets.sidebar import Sidebar

RESTORED = [
    "\x1b[?1049l",  # the screen as it was
    "\x1b[?25h",  # the cursor
    "\x1b[?1000l",  # no reports of the mouse
    "\x1b[?1003l",
    "\x1b[?1006l",
    "\x1b[?2004l",  # no marks around what is pasted
    "\x1b[?1004l",  # no reports of the focus
    "\x1b[<u",  # keys as they were
]

ROOT = Path(__file__).parents[3]

FAULTY = """
from pathlib import Path
from twotick.ui.app import AppOptions, TwotickApp, run_app
from twotick.ui.shell.leaving import run

class Faulty(TwotickApp):
    def start(self):
        raise RuntimeError("a wheel came off")

run(run_app(AppOptions("127.0.0.1:1", folder=Path({folder!r})), Faulty))
"""


async def test_a_theme_that_was_chosen_in_the_app_lasts_until_the_setting_changes(tmp_path: Path) -> None:
    async with showing(FakeSession(), folder=tmp_path) as alice:
        await alice.press("f5")
        assert alice.app.theme == "dark"
        await alice.finds((tmp_path / "choices.json").exists)
    async with showing(FakeSession(), folder=tmp_path) as alice:
        assert alice.app.theme == "dark"
    async with showing(FakeSession(), theme="light", folder=tmp_path) as alice:
        assert alice.app.theme == "light"


async def test_what_is_shown_and_notifications_last_and_two_apps_do_not_undo_each_other(tmp_path: Path) -> None:
    def kept() -> dict[str, object]:
        file = tmp_path / "choices.json"
        return json.loads(file.read_text()) if file.exists() else {}

    session = FakeSession()
    put(session.all, message("hello", 1, ident="b1"))
    async with (
        showing(session, 120, 24, folder=tmp_path) as alice,
        showing(FakeSession(), 120, 24, folder=tmp_path) as other,
    ):
        await alice.sees("Message to bob")
        assert alice.app.screen.query_one(Sidebar).display
        await alice.press("f4")
        await alice.finds(lambda: "list" in kept())
        await other.press("f5")
        await other.finds(lambda: "theme" in kept())
        await alice.press("ctrl+t")
        await alice.type("/notify off", "enter")
        await alice.finds(lambda: {"list", "theme", "details", "notify"} <= set(kept()))
        await alice.type("/notify pigeon", "enter")
        await alice.sees("Desktop: a notification of the system")
    async with showing(session, 120, 24, folder=tmp_path) as alice:
        await alice.sees("Message to bob", "Conversation")
        assert not alice.app.screen.query_one(Sidebar).display
        assert alice.app.theme == "dark"
        assert alice.app._notify == "off"  # pyright: ignore[reportPrivateUsage]
    async with showing(session, 80, 24, folder=tmp_path, notify="desktop") as alice:
        await alice.sees("Message to bob")  # too narrow for the details
        await alice.sees_no("Display")
        assert alice.app._notify == "desktop"  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 9000,
        b"\xff",
        b'{"theme": ["no such", "terminal"]}',
        b'{"theme": 1, "notify": ["pigeon", "bell"]}',
    ],
)
async def test_choices_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "choices.json").write_bytes(content)
    async with showing(FakeSession(), folder=tmp_path) as alice:
        assert alice.app.theme == "terminal"


def test_choices_are_kept_by_name(tmp_path: Path) -> None:
    file = tmp_path / "new" / "choices.json"
    Choices(file).choose("formatting", value=False, setting=True)
    Choices(file).choose("theme", "dark", "terminal")
    kept = Choices(file)
    assert (kept.get("formatting", setting=True), kept.get("theme", "terminal")) == (False, "dark")
    assert kept.get("theme", "light") == "light"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_before_after_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with people(tmp_path, "alice") as (alice,), terminal("chat", "alice", env=alice.variables) as app:
        app.has("No conversations yet", "\u25cf alice@")
        raw = app.attributes()
        app.terminate(number)
        app.drained()
        assert app.attributes() != raw
        assert app.attributes()[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        assert app.ends() is None  # ended by the signal
        assert app.signal == number
        assert [each for each in RESTORED if each not in app.output] == []


def test_an_app_with_a_fault_ends_with_a_status_and_one_line(tmp_path: Path) -> None:
    program = FAULTY.format(folder=str(tmp_path / "data"))
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-c", program],
        cwd=str(ROOT),
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 300),
        use_poll=True,
    )
    output = child.read()
    child.close()
    assert child.exitstatus == 70
    assert "twotick: the app has a fault and has ended: RuntimeError: a wheel came off." in output
    assert "Traceback" not in output
    assert "a wheel came off" in (tmp_path / "data" / "fault.txt").read_text()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_show_a_full_screen_gets_the_line_client(
    tmp_path: Path, address: str, term: str
) -> None:
    env = {**home(tmp_path, "alice"), "TERM": term}
    with terminal("chat", "alice", "--server", address, columns=80, env=env) as alice:
        alice.has("You are alice on")
        assert "\x1b[?1049h" not in alice.output
