"""The operator of a simulated world, who makes backups and restores them, and removes members."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulation.programs import Sent
from twotick.client import State
from twotick.store import RemoveMember, SqliteStore, StoreLimits

if TYPE_CHECKING:
    from tests.simulation.story import Story


class Operator:
    """Does what an operator does.

    Args:
        story: where that happens.

    Attributes:
        backups: copies of the database, each with the messages that had been accepted before it began.
        leaving: the members whom the operator wants to remove.
        removed: those who are removed for certain.
        commands: how many commands run.
    """

    def __init__(self, story: "Story") -> None:
        self.backups: list[tuple[bytes, list[Sent]]] = []
        self.leaving: set[str] = set()
        self.removed: set[str] = set()
        self.commands = 0
        self._story = story
        self._random = story.world.chance("operator")

    def _command(self, name: str, work: Callable[[SqliteStore], Any]) -> "asyncio.Future[Any] | None":
        """Run a command on the server's data, beside the server."""
        story = self._story
        if story.healing or story.machine.address in story.world.network.down:
            return None
        process = story.machine.start(name)

        def run() -> Any:
            store = SqliteStore(Path("server"), StoreLimits(), exclusive=False)
            try:
                return work(store)
            finally:
                store.close()

        def ended(done: "asyncio.Future[Any]") -> None:
            self.commands -= 1
            process.kill()

        self.commands += 1
        done = story.world.command(process, run)
        done.add_done_callback(ended)
        return done

    def _may_fail(self, done: "asyncio.Future[Any]") -> bool:
        """Tell whether a command may have ended as it did: it was killed, the disk was full, or it has to wait."""
        if done.cancelled() or self._story.disturbed:
            return True
        return any(busy in str(done.exception()) for busy in ("another backup", "in use by another server"))

    def back_up(self) -> None:
        """Copy the database."""
        story = self._story
        before = [sent for device in story.devices for sent in device.sent if _is_accepted(sent)]

        def finished(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled() and done.exception() is None:
                self.backups.append((bytes(story.machine.disk.files["server/backup.db"].data), before))
                if self._random.random() < 0.3:
                    story.world.loop.outside(self._random.random() * 5, self.restore)
            elif not self._may_fail(done):
                story.problems.append(f"the backup failed: {done.exception()!r}")

        if done := self._command("backup", lambda store: store.backup(Path("server/backup.db"))):
            done.add_done_callback(finished)

    def restore(self) -> None:
        """Put the last backup in the place of the database, and start the server again."""
        story = self._story
        if story.healing or not self.backups:
            return
        story.world.trace("restore")
        story.lose_log()
        self.removed.clear()
        disk = story.machine.disk
        for name in [name for name in disk.files if name.startswith("server/twotick.db")]:
            disk.delete(name, durably=True)
        disk.load({"server/twotick.db": self.backups[-1][0]})

    def remove_last_member(self) -> None:
        """Remove the member who is in the fewest schedules."""
        story = self._story
        name = max(device.member for device in story.devices)
        if name == story.devices[0].member:
            return

        def finished(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled() and done.exception() is None:
                self.removed.add(name)
            elif not self._may_fail(done):
                story.problems.append(f"{name} was not removed: {done.exception()!r}")

        if done := self._command("remove", lambda store: store.ask(RemoveMember(name, time.time()))):
            self.leaving.add(name)
            for device in story.devices:
                if device.member == name:
                    device.may_end = "removed"
            done.add_done_callback(finished)


def _is_accepted(sent: Sent) -> bool:
    sent.note()
    return State.ACCEPTED <= sent.state <= State.READ
