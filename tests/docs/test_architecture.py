"""Check that docs/architecture.md knows every file of the package."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src/twotick"


def test_the_page_lists_every_file_with_a_line() -> None:
    """A new file gets a line, and a line goes with its file."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    _, _, section = page.partition("## Every file\n")
    listed = re.findall(r"^\| `([^`]+)` \| \S.* \|$", section, re.MULTILINE)
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.read_text("utf-8").strip()}
    assert sorted(listed) == sorted(files)
