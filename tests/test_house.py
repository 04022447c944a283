"""Check rules of the repository that no linter holds."""

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"

SHARED_NAMES: dict[str, str] = {}
"""Names of several classes in src/, with the reason why they may share a name."""


def test_there_are_no_compiled_modules_beside_the_source() -> None:
    """Python would import them instead of the source, even after the source has changed."""
    assert list(SOURCE.rglob("*.so")) == []


def test_no_two_classes_share_a_name() -> None:
    """A reader who knows a class by its name finds one class."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    shared = {name: sorted(where) for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in shared.items() if name not in SHARED_NAMES} == {}
    assert SHARED_NAMES.keys() <= shared.keys(), "an exception is not needed any more"


def test_tests_that_run_a_state_machine_are_marked() -> None:
    """Hypothesis marks what has random examples, but not these, and `make test` gives only marked ones all examples."""
    machine, mark = "run_state_machine_as_test", "pytest.mark.hypothesis"
    unmarked = [
        f"{path.relative_to(TESTS)}:{node.name}"
        for path in TESTS.rglob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and f"{machine}(" in ast.unparse(node)
        if mark not in [ast.unparse(each) for each in node.decorator_list]
    ]
    assert unmarked == []
