"""docs/reference.md describes all public names of the library."""

import re
from pathlib import Path

import twotick

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_every_public_name_is_described_once() -> None:
    described = re.findall(r"^::: twotick\.(\w+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(name for name in twotick.__all__ if not name.startswith("__"))
