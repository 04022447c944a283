"""One seeded scheduler for everything that runs in a simulated world: event loops, threads and clocks.

Theory of operation. All simulated processes share one asyncio event loop, whose clock stands still while a callback
runs and then jumps to the next timer. A context variable says to which process a callback belongs, so a process can be
killed before any of its callbacks: from then on none of them runs. A simulated thread is a greenlet: it runs until it
would block, at a lock, a queue, a sleep or a slow disk, and the event loop goes on. Chance comes from generators with a
seed, so the same seed gives the same schedule.
"""

import asyncio
import contextvars
import fcntl
import heapq
import queue
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random
from typing import Any

import greenlet

EPOCH = 1_800_000_000.0
"""The time of day, in seconds since 1970, at which each simulated world begins."""

_EPSILON = 1e-6
"""Seconds by which the clock passes a timer, so that a sum of floating-point numbers that is due has come."""

_SWITCH = 20e-6
"""The longest time, in seconds, until a thread that was woken runs."""

CURRENT: "contextvars.ContextVar[Process | None]" = contextvars.ContextVar("process", default=None)
"""The simulated process that runs now."""

_real_time, _real_monotonic, _real_sleep, _real_flock = time.time, time.monotonic, time.sleep, fcntl.flock
_running: "list[Loop]" = []


class Process:
    """A simulated process.

    Args:
        name: its name, for the trace.
        clock: returns by how many seconds the clock of its machine is wrong.

    Attributes:
        alive: whether its callbacks run.
        steps: how many of its callbacks have run.
        kill_at: the number of the callback before which it is killed; 0 for none.
        on_death: called when it is killed.
        tasks: its tasks, kept so that those of a dead process are not finalized.
        context: a context in which it is the current process.
    """

    def __init__(self, name: str, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.name = name
        self.clock = clock
        self.alive = True
        self.steps = 0
        self.kill_at = 0
        self.on_death: list[Callable[[], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def kill(self) -> None:
        """End the process at once: nothing of it runs any more, not even a `finally`."""
        if self.alive:
            self.alive = False
            for callback in self.on_death:
                callback()


class _Queues:
    """What asyncio's base class keeps: the callbacks that are due, and a heap of those that will be."""

    def __init__(self, loop: Any) -> None:
        self.ready: deque[asyncio.Handle] = loop._ready
        self.scheduled: list[asyncio.TimerHandle] = loop._scheduled

    @staticmethod
    def process_of(handle: Any) -> Process | None:
        """Return the process to which a callback belongs."""
        return handle._context.get(CURRENT)


class Loop(asyncio.BaseEventLoop):
    """The event loop of a simulated world.

    Args:
        random: decides how long threads take to wake up.

    Attributes:
        now: the time, in seconds on its monotonic clock.
        thread: the simulated thread that runs; None if it is the loop.
        stack: the greenlet of the loop.
        failures: errors that nothing caught, in words.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.now = 1000.0
        self.limit = 20_000.0
        self.thread: Thread | None = None
        self.failures: list[str] = []
        self.network: Any = None
        self._random = random
        self.stack = greenlet.getcurrent()
        self._threads: set[Thread] = set()  # kept: a greenlet that is not ends, and its `finally` runs
        self._dropped: list[asyncio.Handle] = []  # of dead processes, kept so that nothing is finalized
        self._outside = contextvars.Context()
        self._queues = _Queues(self)
        self.set_exception_handler(self._failed)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the time, in seconds."""
        return self.now

    def outside(self, delay: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call something later that belongs to no process: the network, or the hand of fate."""
        return self.call_later(delay, callback, *args, context=self._outside)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(coroutine, loop=loop, **options)
        if (process := CURRENT.get()) is not None:
            process.tasks.append(task)
        return task

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        process = CURRENT.get()
        name = "" if process is None else process.name
        self.failures.append(f"{name}: {context['message']}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        run: Callable[[asyncio.Handle], None] = asyncio.Handle._run  # pyright: ignore[reportAttributeAccessIssue]
        ready, scheduled = self._queues.ready, self._queues.scheduled
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if not ready:
            if not scheduled:
                raise RuntimeError("the simulated world stands still")
            if scheduled[0].when() > self.limit:
                raise RuntimeError("the simulated world does not come to an end")
            self.now = max(self.now, scheduled[0].when() + _EPSILON)
        while scheduled and scheduled[0].when() <= self.now:
            handle = heapq.heappop(scheduled)
            if not handle.cancelled():
                ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            process = self._queues.process_of(handle)
            if process is not None:
                process.steps += 1
                if process.steps == process.kill_at:
                    process.kill()
                if not process.alive:
                    self._dropped.append(handle)
                    continue
            run(handle)

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """Call something soon."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Call a function in a simulated thread of its own."""
        future = self.create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:
                self.call_soon(finish, None, error)
            else:
                self.call_soon(finish, result, None)

        Thread(target=work, name="executor").start()
        return future

    # The network

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Listen on the simulated network."""
        return await self.network.listen(protocol_factory, host, port)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Connect on the simulated network."""
        return await self.network.connect(protocol_factory, host, port, options)

    async def sock_accept(self, sock: Any) -> Any:
        """Accept a connection from a simulated socket (see encryption.py)."""
        accepted = await sock.next()
        return accepted, accepted.end.get_extra_info("peername")

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        """Call something when there is something to read from a simulated socket."""
        fd.end.on_readable = lambda: self.call_soon(callback, *args, context=fd.end.process.context)
        fd.end.tell_reader()

    def remove_reader(self, fd: Any) -> bool:
        """Undo `add_reader`."""
        fd.end.on_readable = None
        return True

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **options: Any) -> Any:  # type: ignore[override]
        """Encrypt a connection that was accepted."""
        if sock.end.gone:
            raise ConnectionResetError(104, "Connection reset by peer")
        protocol = protocol_factory()
        return await self.network.encrypt(sock.end, protocol, options["ssl"], options, server=True), protocol

    # Threads

    def switch_to(self, thread: "Thread") -> None:
        """Let a thread run until it blocks."""
        self.thread = thread
        thread.stack.switch()
        self.thread = None

    def park(self) -> None:
        """In a thread: let the loop go on, until `switch_to` is called for this thread again."""
        assert self.thread is not None, "the event loop would block"
        self.stack.switch()

    def add_thread(self, thread: "Thread") -> None:
        """Start a thread."""
        self._threads.add(thread)
        self.wake(thread)

    def thread_ended(self, thread: "Thread") -> None:
        """Forget a thread that has ended."""
        self._threads.discard(thread)

    def wake(self, thread: "Thread") -> None:
        """Let a thread that is parked run soon."""
        delay = self._random.random() * _SWITCH
        self.call_later(delay, self.switch_to, thread, context=thread.process.context)

    def sleep(self, seconds: float) -> None:
        """In a thread: let others run for so many seconds."""
        assert self.thread is not None, "the event loop would sleep"
        self.call_later(seconds, self.switch_to, self.thread, context=self.thread.process.context)
        self.park()


def loop() -> Loop:
    """Return the loop of the simulated world that runs."""
    return _running[0]


@contextmanager
def simulated(loop: Loop) -> Generator[None]:
    """Let the clocks be those of a loop, and threads be simulated ones, within the block."""
    import threading

    saved = threading.Thread, threading.Lock, threading.Event, queue.SimpleQueue
    threading.Thread, threading.Lock = Thread, Lock  # type: ignore[misc,assignment]
    threading.Event, queue.SimpleQueue = Event, Queue  # type: ignore[misc,assignment]
    _running.append(loop)
    try:
        yield
    finally:
        _running.clear()
        threading.Thread, threading.Lock, threading.Event, queue.SimpleQueue = saved  # type: ignore[misc]


def _time() -> float:
    if not _running:
        return _real_time()
    process = CURRENT.get()
    return EPOCH + _running[0].now + (0.0 if process is None else process.clock())


def _monotonic() -> float:
    return _running[0].now if _running else _real_monotonic()


def _sleep(seconds: float) -> None:
    if _running:
        _running[0].sleep(seconds)
    else:
        _real_sleep(seconds)


def _flock(file: Any, operation: int) -> None:
    """Lock a file; while another has the lock, let others run."""
    if not _running or operation & (fcntl.LOCK_NB | fcntl.LOCK_UN):
        _real_flock(file, operation)
        return
    while True:
        try:
            _real_flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            _sleep(0.001)
        else:
            return


def replace_clocks() -> None:
    """Replace the clocks of the module `time`, and what waits for a lock.

    They go on as usual until a loop of this module runs.
    """
    time.time, time.monotonic, time.sleep, fcntl.flock = _time, _monotonic, _sleep, _flock


# What threads use instead of the modules threading and queue


class _Waiter:
    """A thread that waits for something, or for a time limit."""

    def __init__(self, thread: "Thread") -> None:
        self.thread = thread
        self.timer: asyncio.TimerHandle | None = None
        self.woken = False


class _Waiters:
    """The threads that wait for one thing."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiter] = deque()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until woken. Return False if the time limit, in seconds, came first."""
        here = loop()
        assert here.thread is not None, "the event loop would block"
        waiter = _Waiter(here.thread)
        self._waiting.append(waiter)
        if timeout is not None:
            waiter.timer = here.call_later(timeout, self._expire, waiter, context=here.thread.process.context)
        here.park()
        return waiter.woken

    def _expire(self, waiter: _Waiter) -> None:
        self._waiting.remove(waiter)
        loop().switch_to(waiter.thread)

    def wake(self, most: int = 1) -> None:
        """Wake threads that wait."""
        while self._waiting and most:
            most -= 1
            waiter = self._waiting.popleft()
            waiter.woken = True
            if waiter.timer is not None:
                waiter.timer.cancel()
            loop().wake(waiter.thread)


class Thread:
    """A simulated thread; see `threading.Thread`."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        process = CURRENT.get()
        assert process is not None, "a thread belongs to a process"
        self.process = process
        self.name = name or "thread"
        self.ended = False
        self.stack = greenlet.greenlet(self._run, loop().stack)
        self._target = target
        self._args = args
        self._kwargs = kwargs or {}
        self._joining = _Waiters()

    def start(self) -> None:
        """Start the thread."""
        self.stack.gr_context = contextvars.copy_context()
        loop().add_thread(self)

    def _run(self) -> None:
        try:
            assert self._target is not None
            self._target(*self._args, **self._kwargs)
        except BaseException as error:
            loop().failures.append(f"{self.process.name}: thread {self.name} ended with {error!r}")
        self.ended = True
        self._joining.wake(1 << 30)
        loop().thread_ended(self)

    def is_alive(self) -> bool:
        """Tell whether the thread has not ended."""
        return not self.ended

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended."""
        if not self.ended:
            self._joining.wait(timeout)


class Lock:
    """A lock of simulated threads; see `threading.Lock`."""

    def __init__(self) -> None:
        self._held = False
        self._waiters = _Waiters()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock."""
        while self._held:
            if not blocking or not self._waiters.wait(None if timeout < 0 else timeout):
                return False
        self._held = True
        return True

    def release(self) -> None:
        """Give the lock back."""
        assert self._held
        self._held = False
        self._waiters.wake()

    def locked(self) -> bool:
        """Tell whether the lock is taken."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


class Event:
    """An event of simulated threads; see `threading.Event`."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiters = _Waiters()

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake those who wait."""
        self._is_set = True
        self._waiters.wake(1 << 30)

    def clear(self) -> None:
        """Reset it."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set."""
        return self._is_set or self._waiters.wait(timeout)


class Queue:
    """A queue of simulated threads; see `queue.SimpleQueue`."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiters = _Waiters()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item."""
        self._items.append(item)
        self._waiters.wake()

    put_nowait = put

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next item."""
        while not self._items:
            if not block or not self._waiters.wait(timeout):
                raise queue.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        """Take the next item, if there is one."""
        return self.get(block=False)

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._items

    def qsize(self) -> int:
        """Return how many items wait."""
        return len(self._items)
