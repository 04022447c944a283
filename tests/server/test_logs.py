"""What becomes of errors that nobody expected."""

import asyncio
import json
from collections.abc import Callable
from typing import get_args

import pytest
import uvloop

from twotick.server import logs
from twotick.settings import LogLevels


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_internal_error_is_logged_without_values(
    new_loop: Callable[[], asyncio.AbstractEventLoop], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(body: bytes) -> None:
        raise KeyError(body)

    logs.configure()
    loop = new_loop()
    loop.set_exception_handler(logs.report)
    loop.call_soon(fail, b"top secret")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    output, errors = capfd.readouterr()
    line = json.loads(errors)
    assert (output, line["level"], line["event"], line["kind"]) == ("", "error", "internal error", "KeyError")
    assert line["where"][-1].endswith(" fail")
    assert "top secret" not in errors


def test_what_has_no_exception_is_told_in_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(logs.report)
    loop.call_exception_handler({"message": "something is odd"})
    loop.close()
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["kind"]) == ("internal error", "something is odd")


def test_parts_have_levels_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert get_args(LogLevels)[1].pattern == logs.LEVELS_PATTERN
    log = logs.ServerLog()
    log.use_levels(" info, web=error ,push = warning")
    wanted = [(part, level) for part in logs.PARTS for level in logs.LEVELS if log.wants(part, level)]
    assert wanted == [
        *(("login", level) for level in logs.LEVELS),
        *(("push", level) for level in ("error", "warning")),
        *(("server", level) for level in logs.LEVELS),
        *(("tls", level) for level in logs.LEVELS),
        ("web", "error"),
    ]
    log.use_levels("error")
    log.warning("nothing")
    log.error("something")
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["something"]
