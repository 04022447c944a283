"""Run schedules of a simulated world, each from a seed.

    python -m tests.simulation.simulate --seeds 100
    python -m tests.simulation.simulate --seed 7            prints what happens

Each schedule runs in a process of its own, forked from this one.
"""

import argparse
import contextlib
import faulthandler
import gc
import importlib
import math
import os
import pickle
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.simulation import disk, scheduler
from tests.simulation.encryption import Certificate
from tests.simulation.planted import PLANTED
from tests.simulation.story import Story
from twotick.server import spare_memory
from twotick.store.sqlite import schema

_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None

_CPU_LIMIT = 60
"""The seconds of CPU after which a schedule is ended that does not end by itself."""

_TIME_LIMIT = 3600
"""The seconds after which a schedule is ended that waits for something real."""

_WARM_UP = 4
"""How many schedules to run before the first that counts: Python runs code faster that has run before."""


_template: dict[str, bytes] = {}
"""The files of a database with members, made once."""

_certificates: list[Certificate] = []
"""The certificate of the server, made once."""


def _in_a_child(work: Callable[[], bytes]) -> tuple[bytes, int]:
    """Do something in a process of its own, in a new folder. Return its answer, and how the process ended."""
    folder = tempfile.mkdtemp(prefix="twotick-", dir=_FOLDER)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b""
        try:
            os.close(reading)
            faulthandler.dump_traceback_later(_TIME_LIMIT, exit=True)
            faulthandler.register(signal.SIGXCPU, chain=True)
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT, resource.RLIM_INFINITY))
            os.chdir(folder)
            answer = work()
        except BaseException:
            answer = ("-\n" + traceback.format_exc()).encode()
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer)
            sys.stdout.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return answer, status


def run(seed: str, planted: str = "", print_it: bool = False) -> tuple[str, list[str]]:
    """Run one schedule in a process of its own.

    Args:
        seed: decides everything in it.
        planted: the name of a fault that the program is to have; empty for none.
        print_it: whether to print what happens.

    Returns:
        The hash of what happened, and the promises that were broken.
    """

    def work() -> bytes:
        fault = PLANTED[planted] if planted else None
        if fault is not None:
            fault.plant()
        likely = "" if fault is None else fault.likely
        story = Story(seed, _template, _certificates[0], print_it, likely)
        story.run()
        return "\n".join([story.world.trace.digest, *story.problems]).encode("utf-8", "replace")

    answer, status = _in_a_child(work)
    digest, *problems = answer.decode("utf-8", "replace").split("\n")
    if status:
        problems.append(f"the schedule ended with status {status}")
    return digest, problems


def prepare() -> None:
    """Prepare this process for schedules: replace the clocks and the file system of SQLite, and warm up."""
    library = disk.sqlite_library()
    if library is None:
        raise SystemExit("the simulation needs a Python whose sqlite3 loads a shared library of SQLite")
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "tests.simulation.simulate", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONHASHSEED": "0"})
    importlib.import_module("encodings.idna")  # else each child does it
    for number in range(len(schema.STEPS) + 1):  # else each child works them out
        schema._expected(number)  # pyright: ignore[reportPrivateUsage]
    spare_memory._LOOK = math.inf  # pyright: ignore[reportPrivateUsage,reportAttributeAccessIssue]
    scheduler.replace_clocks()
    disk.install(library)
    answer, _ = _in_a_child(lambda: pickle.dumps(Story("template").make_template()))
    _template.update(pickle.loads(answer))
    with tempfile.TemporaryDirectory(prefix="twotick-", dir=_FOLDER) as folder:
        _certificates.append(Certificate(Path(folder)))
    for number in range(_WARM_UP):
        _warm_up(number)
    gc.collect()
    gc.freeze()  # so that collections in the children touch, and copy, nothing of this process
    gc.set_threshold(20_000, 20, 20)


_warm: list[Story] = []
"""The schedules that have run in this process; kept, because parts of them wait for ever."""


def _warm_up(number: int) -> None:
    """Run a schedule in this process."""
    story = Story(f"warm-up {number}", _template, _certificates[0])
    _warm.append(story)
    with tempfile.TemporaryDirectory(prefix="twotick-", dir=_FOLDER) as folder, contextlib.chdir(folder):
        story.run()
    story.world.close()


def run_many(first: int, seeds: int, seconds: float, planted: str, digests: bool) -> int:
    """Run schedules of one seed after the other, and print which broke a promise.

    Args:
        first: the first seed.
        seeds: how many to run at most.
        seconds: how many seconds of CPU to use at most.
        planted: see `run`.
        digests: whether to print the hash of each.

    Returns:
        How many broke a promise.
    """
    number, failed = first, 0
    for number in range(first, first + seeds):
        digest, problems = run(str(number), planted)
        if digests:
            print(number, digest)
        if planted:
            problems = [problem for problem in problems if re.search(PLANTED[planted].symptom, problem)]
        if problems:
            failed += 1
            print(f"seed {number}:", *problems[:8], sep="\n    ", flush=True)
            if planted:
                break
        if _cpu() > seconds:
            break
    print(f"seeds {first} to {number}: {failed} failed, {_cpu():.1f} s of CPU", flush=True)
    return failed


def find(names: list[str]) -> list[str]:
    """Look for planted faults, each in its own schedules; return those that no schedule shows."""
    return [name for name in names if not run_many(PLANTED[name].first, PLANTED[name].within, 1e9, name, False)]


def _cpu() -> float:
    used = os.times()
    return used.children_user + used.children_system


def main() -> None:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(description="Run schedules of a simulated world.")
    parser.add_argument("--seeds", type=int, default=1 << 40, help="how many schedules to run at most")
    parser.add_argument("--seconds", type=float, default=1e9, help="how many seconds of CPU to use at most")
    parser.add_argument("--first", type=int, help="the first seed; any if it is left out")
    parser.add_argument("--seed", nargs="+", default=[], help="run these; print what happens if it is one")
    parser.add_argument("--planted", default="", choices=["", *PLANTED], help="give the program this fault")
    parser.add_argument("--find", nargs="+", default=[], choices=PLANTED, help="look for these faults")
    parser.add_argument("--digests", action="store_true", help="print a hash of what happened for each seed")
    options = parser.parse_args()
    prepare()
    if options.find:
        missed = find(options.find)
        print("not found:", *missed)
        raise SystemExit(bool(missed))
    if len(options.seed) == 1:
        digest, problems = run(options.seed[0], options.planted, print_it=not options.digests)
        print(*([options.seed[0], digest] if options.digests else [digest]))
        print(*problems, sep="\n")
        raise SystemExit(bool(problems))
    if options.seed:
        raise SystemExit(
            bool(sum(run_many(int(seed), 1, 1e9, options.planted, options.digests) for seed in options.seed))
        )
    first = random.randrange(1 << 32) if options.first is None else options.first
    raise SystemExit(bool(run_many(first, options.seeds, options.seconds, options.planted, options.digests)))


if __name__ == "__main__":
    main()
