"""The programs of others that tests need. Without one they are skipped, but never in CI."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def needed(program: str, how: str) -> str:
    """Return the path of a program, or skip the test; in CI it fails.

    Args:
        program: its name.
        how: the command that installs it.
    """
    return _found(program) or missing(program, how)


def wanted(*programs: str, how: str) -> str:
    """Return the path of the first of these programs that is here, or skip the test, also in CI.

    Args:
        programs: their names.
        how: the command that installs one.
    """
    return next(filter(None, map(_found, programs)), None) or pytest.skip(_absent(" or ".join(programs), how))


def missing(program: str, how: str) -> NoReturn:
    """Skip the test, or fail in CI, because a program is missing.

    Args:
        program: its name.
        how: the command that installs it.
    """
    if os.environ.get("TWOTICK_TEST_ALL"):
        pytest.fail(_absent(program, how))
    pytest.skip(_absent(program, how))


def _absent(program: str, how: str) -> str:
    return f"there is no {program}: {how}"


def _found(program: str) -> str | None:
    """Return the path of a program, also of those that Debian has for the administrator only, and of those of pip."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:{Path(sys.executable).parent}")
