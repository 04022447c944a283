"""The programs that the tests of the page need. Without one they are skipped, but never in CI."""

import os
import shutil

import pytest


def needed(program: str, how: str) -> str:
    """Return the path of a program, or skip the test.

    Args:
        program: its name.
        how: the command that installs it.
    """
    found = shutil.which(program)
    if found is not None:
        return found
    text = f"there is no {program}: {how}"
    if os.environ.get("TWOTICK_TEST_ALL"):
        pytest.fail(text)
    pytest.skip(text)
