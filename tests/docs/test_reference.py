"""docs/reference.md describes all public names of the library."""

import re
import subprocess
import sys
from pathlib import Path

import twotick

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_a_repl_completes_and_describes_every_public_name() -> None:
    """In a fresh interpreter, where nothing was imported before."""
    program = (
        "import twotick; print(*dir(twotick)); print(all(getattr(twotick, name).__doc__ for name in twotick.__all__))"
    )
    listed, described = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()
    assert set(twotick.__all__) <= set(listed.split())
    assert described == "True"
    program = "import twotick; help(twotick.send)"
    assert "Connect as a guest" in subprocess.check_output([sys.executable, "-c", program], text=True)


def test_every_public_name_is_described_once() -> None:
    described = re.findall(r"^::: twotick\.(\w+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(name for name in twotick.__all__ if not name.startswith("__"))
