"""What becomes of errors that nobody expected."""

import asyncio
import json
from collections.abc import Callable

import pytest
import uvloop

from twotick.server import logs


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
