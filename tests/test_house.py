"""Check rules of the repository that no linter holds."""

from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"


def test_there_are_no_compiled_modules_beside_the_source() -> None:
    """Python would import them instead of the source, even after the source has changed."""
    assert list(SOURCE.rglob("*.so")) == []
