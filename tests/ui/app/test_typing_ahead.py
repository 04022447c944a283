"""Keys that come at once, as from a slow connection or a fast typist, do what they do one by one."""

from pathlib import Path

from tests.cli.operating import people
from tests.ui.terminal import terminal

KEYS = (
    "\x0bbob\r"  # Ctrl+K
    "red\rblue\r"
    "/messages\r\x1b[Ae sky\r"  # up and e: edit the first message
    "left for bob"
    "\x0bcarol\r"
    "left for carol"
    "\x1b[1;3A"  # Alt+up: bob
    ", and"
    "\x1b[200~ pasted\x1b[201~"
)


def test_keys_that_come_at_once_are_for_what_the_keys_before_them_show(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (person, _), terminal("chat", env=person.variables) as alice:
        alice.has("No conversations yet", "\u25cf alice@")
        alice.type(KEYS)
        alice.has("  red sky", "  blue ", " left for bob, and pasted")
        alice.type("\x1b[1;3B")  # Alt+down
        alice.has(" left for carol")
        assert "red" not in alice.screen
