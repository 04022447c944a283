"""Messages that programs publish with a delay, as to ntfy (rule 22.7)."""

import time
from collections.abc import Generator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.web import publishing
from tests.server.web.publishing import LIMITS, Program
from tests.sockets import ServerProcess, patiently, serving
from twotick import admin
from twotick.server import ServerLimits
from twotick.server.web.publish.delay import read_delay
from twotick.server.web.publish.publication import Unreadable
from twotick.store import (
    AddDelayed,
    DelayedMessage,
    FindMember,
    ListDelayed,
    SettleDelayed,
    SqliteStore,
)

HOUR = 3600


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    data = tmp_path_factory.mktemp("delayed") / "data"
    tokens = publishing.prepare(data)
    with serving(ServerLimits(), web=True, data=str(data)) as server:
        yield Program(server, data, tokens)


def waiting(program: Program, bot: str = "one") -> list[DelayedMessage]:
    """What waits for its time."""
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        return admin.delayed(store, bot)


def let_come(program: Program, bot: str = "one") -> None:
    """Let the time come of all that waits, and wait until the server has seen to it."""
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        member = store.ask(FindMember(bot))
        assert member is not None
        for each in store.ask(ListDelayed(member.number)):
            store.ask(SettleDelayed(member.number, each.id, 0.0))
    for _ in patiently():
        if not waiting(program, bot):
            return
    raise TimeoutError("it still waits")


def test_what_is_published_with_a_delay_is_sent_at_its_time_as_the_bot(program: Program) -> None:
    before, now = len(program.entries()), int(time.time())
    for path, more in (("/bob", {"delay": "1h"}), ("/bob?in=2h", {}), ("/bob", {"x-at": str(now + 3 * HOUR)})):
        status, _, answer = program.ask(path, "wake up", bot="one", title="Alarm", **more)
        assert (status, answer["event"], answer["message"], answer["title"]) == (200, "message", "wake up", "Alarm")
    assert abs(answer["time"] - now - 3 * HOUR) < 2
    status, answer = program.post("/", {"topic": "bob", "message": "json", "delay": "4 hours"}, bot="one")
    assert status == 200
    assert [round((each.due - now) / HOUR) for each in waiting(program)] == [1, 2, 3, 4]
    assert len(program.entries()) == before, "nothing is sent before its time"
    let_come(program)
    assert sorted(program.got()[before:]) == ["*Alarm*\nwake up"] * 3 + ["json"]
    assert b"X-title: Alarm\n" in program.entries()[before].headers
    assert program.entries()[before].peer == b"one"


def test_many_may_come_at_once(program: Program) -> None:
    before = len(program.entries())
    for number in range(40):
        assert program.ask("/bob", str(number), bot="one", delay="1h")[0] == 200
    let_come(program)
    assert sorted(program.got()[before:], key=int) == [str(number) for number in range(40)]


def test_what_comes_again_is_sent_once(program: Program) -> None:
    before = len(program.entries())
    found = [program.ask("/bob", "once", bot="one", delay=delay, idempotency_key="job-7")[2] for delay in ("1h", "2h")]
    assert found[0]["id"] == found[1]["id"]
    assert found[0]["time"] == found[1]["time"]
    (kept,) = waiting(program)
    let_come(program)
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        store.ask(AddDelayed(kept))  # as if the server had been killed before it could forget it
    let_come(program)
    assert program.ask("/bob", "once", bot="one", idempotency_key="job-7")[0] == 200
    assert program.got()[before:] == ["once"]


def test_a_message_that_waits_can_be_replaced_and_cancelled(program: Program) -> None:
    before = len(program.entries())
    for text in ("old", "new"):
        program.ask("/bob", text, bot="one", delay="1h", x_sequence_id="backup")
    _, _, other = program.ask("/bob", "other", bot="one", delay="1h")
    assert sorted(each.body for each in waiting(program)) == [b"new", b"other"]
    assert program.ask("/bob/nothing", method="DELETE", bot="one")[0] == 404
    assert program.ask("/alice/backup", method="DELETE", bot="one")[0] == 403
    assert program.ask("/bob/backup", method="DELETE", bot="many")[0] == 404, "it is another bot's"
    assert program.ask("/bob/backup", method="DELETE")[0] == 401
    assert program.ask("x/bob/backup", method="DELETE", bot="one")[0] == 405, "that is no path"
    status, _, answer = program.ask("/bob/backup", method="DELETE", bot="one")
    assert (status, answer["event"], answer["topic"]) == (200, "message_delete", "bob")
    assert program.ask(f"/BOB/{other['id']}", method="DELETE", bot="one")[0] == 200
    assert waiting(program) == []
    assert program.ask("/bob/backup", method="DELETE", bot="one")[0] == 404
    assert len(program.entries()) == before


@pytest.mark.parametrize("change", ["withdrawn", "denied", "disabled"])
def test_what_may_not_be_sent_any_more_at_its_time_is_not_sent(program: Program, change: str) -> None:
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        program.tokens[change] = admin.add_bot(store, change, ["bob"], [])
    before = len(program.entries())
    assert program.ask("/bob", "too late", bot=change, delay="1h")[0] == 200
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        if change == "withdrawn":
            admin.revoke(store, change, "main")
        elif change == "denied":
            admin.set_bot_rights(store, change, ["bob"], [], allowed=False)
        else:
            admin.disable(store, change, disabled=True)
    let_come(program, change)
    assert len(program.entries()) == before
    if change == "disabled":
        with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
            admin.disable(store, change, disabled=False)


def test_a_bot_that_is_disabled_leaves_nothing_to_be_sent_later_and_cancels_nothing(program: Program) -> None:
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        program.tokens["off"] = admin.add_bot(store, "off", ["bob"], [])
    more = {"delay": "1h", "x_sequence_id": "backup", "idempotency_key": "job-8"}
    assert program.ask("/bob", "before", bot="off", **more)[0] == 200
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        admin.disable(store, "off", disabled=True)
    for _ in patiently():  # for a second, a bot is not looked up again
        if program.ask("/bob", "before", bot="off", **more)[0] != 200:
            break
    for path, method in (("/bob?delay=1h", "POST"), ("/bob/backup", "DELETE")):
        status, _, answer = program.ask(path, method=method, bot="off")
        assert (status, answer["error"]) == (401, "this account is disabled: ask the operator of the server")
    assert [each.body for each in waiting(program, "off")] == [b"before"]


def test_what_waits_survives_that_the_server_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    tokens = publishing.prepare(data)
    first = Program(ServerProcess(ServerLimits(), web=True, data=str(data)), data, tokens)
    try:
        assert first.ask("/bob", "after the crash", bot="one", delay="1h")[0] == 200
    finally:
        first.server.kill()
    with serving(ServerLimits(), web=True, data=str(data)) as server:
        program = Program(server, data, tokens)
        assert [each.body for each in waiting(program)] == [b"after the crash"]
        let_come(program)
        assert program.got() == ["after the crash"]


NOW = datetime(2026, 12, 2, 10, 17, 23)  # a Wednesday, in the zone of the server


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW + timedelta(minutes=30)),
        ("30min", NOW + timedelta(minutes=30)),
        ("2 Hours", NOW + timedelta(hours=2)),
        ("1h30m", NOW + timedelta(minutes=90)),
        ("1 day", NOW + timedelta(days=1)),
        ("10s", NOW + timedelta(seconds=10)),
        ("11am", NOW.replace(hour=11, minute=0, second=0)),
        ("10:30", NOW.replace(hour=10, minute=30, second=0)),
        ("9am", NOW.replace(day=3, hour=9, minute=0, second=0)),
        ("12am", NOW.replace(day=3, hour=0, minute=0, second=0)),
        ("tomorrow", NOW.replace(day=3)),
        ("tomorrow, 10am", NOW.replace(day=3, hour=10, minute=0, second=0)),
        ("Tomorrow at 22:05", NOW.replace(day=3, hour=22, minute=5, second=0)),
        ("today 12:30 pm", NOW.replace(hour=12, minute=30, second=0)),
        ("Friday, 7am", NOW.replace(day=4, hour=7, minute=0, second=0)),
        ("thu 8pm", NOW.replace(day=3, hour=20, minute=0, second=0)),
        ("wednesday 11pm", NOW.replace(hour=23, minute=0, second=0)),
        ("2026-12-03T10:00:00", NOW.replace(day=3, hour=10, minute=0, second=0)),
        ("2026-12-03T10:00:00Z", datetime.fromisoformat("2026-12-03T10:00:00+00:00")),
        ("1796385600", datetime.fromtimestamp(1796385600)),
    ],
)
def test_a_delay_is_written_as_for_ntfy(text: str, expected: datetime) -> None:
    now = NOW.timestamp() if text != "1796385600" else 1796385600.0 - 60
    assert read_delay(text, now) == expected.timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "now", "5", "today", "today 9am", "9s", "4 days", "13pm", "0am", "25:00", "tomorrow 10", "monday", "-1h",
     "99999999999", "1796385", "2026-12-09", "\u0661\u0662h", "soon 10am", "1h " * 999],
)  # fmt: skip
def test_what_is_no_delay_or_too_short_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=r"delay is no time|at least 10 seconds"):
        read_delay(text, NOW.timestamp())


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-z:, ]{0,20}", fullmatch=True))
def test_any_text_may_come_as_a_delay(text: str) -> None:
    try:
        found: Any = read_delay(text, NOW.timestamp())
    except Unreadable as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert 10 <= found - NOW.timestamp() <= 3 * 24 * HOUR
