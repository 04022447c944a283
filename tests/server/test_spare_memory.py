"""Memory that is free after a peak."""

import platform
from pathlib import Path

import pytest

from twotick.server import spare_memory
from twotick.server.spare_memory import SpareMemory

MEBIBYTE = 1 << 20


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves")
def test_memory_is_given_back_after_a_peak() -> None:
    spare = SpareMemory()
    spare.tick(0.0)
    taken = [bytes(100_000) for _ in range(1000)]
    kept = taken[::50]
    del taken
    before = resident()
    spare.tick(spare_memory._LOOK)  # pyright: ignore[reportPrivateUsage]
    assert before - resident() > 60 * MEBIBYTE
    assert len(kept) == 20


class Counted(SpareMemory):
    """A spare memory that counts how often something is given back.

    Attributes:
        free: the bytes that are free.
        trims: how often memory was given back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.free = 0
        self.trims = 0
        self._count = lambda: self  # pyright: ignore[reportUnknownLambdaType]
        self._trim = self._give_back

    def _give_back(self, _: int) -> None:
        self.trims += 1


def test_memory_is_given_back_once_for_each_peak() -> None:
    """What the C library calls free stays free, although it was given back."""
    spare = Counted()
    trims: list[int] = []
    for look, mebibytes in enumerate((1, 10, 40, 40, 50, 45, 5, 15, 40, 40)):
        spare.free = mebibytes * MEBIBYTE
        spare.tick(look * 5.0)
        trims.append(spare.trims)
    assert trims == [0, 0, 1, 1, 1, 1, 1, 1, 2, 2]


def test_free_memory_is_looked_at_now_and_then() -> None:
    spare = Counted()
    spare.tick(0.0)
    spare.free = 100 * MEBIBYTE
    spare.tick(4.9)
    assert spare.trims == 0
    spare.tick(5.0)
    assert spare.trims == 1


def test_without_the_functions_nothing_happens() -> None:
    spare = SpareMemory()
    spare._trim = None  # pyright: ignore[reportPrivateUsage]
    spare.tick(0.0)
