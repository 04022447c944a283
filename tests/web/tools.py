"""The programs that the tests of the page need. Without one they are skipped, but never in CI."""

import os
import shutil
from typing import NoReturn

import pytest


def needed(program: str, how: str) -> str:
    """Return the path of a program, or skip the test.

    Args:
        program: its name.
        how: the command that installs it.
    """
    return shutil.which(program) or missing(program, how)


def missing(program: str, how: str) -> NoReturn:
    """Skip the test, or fail in CI, because a program is missing.

    Args:
        program: its name.
        how: the command that installs it.
    """
    text = f"there is no {program}: {how}"
    if os.environ.get("TWOTICK_TEST_ALL"):
        pytest.fail(text)
    pytest.skip(text)
