"""What systemd is told of the server (sd_notify): when it is ready, reloads and stops, and that it is alive."""

import asyncio
import contextlib
import os
import socket
import time


def notify(*news: str) -> None:
    """Tell systemd, if it has started this process with `Type=notify`.

    Args:
        news: for example `READY=1`.
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.setblocking(False)
        telling.sendto("\n".join(news).encode(), where.replace("@", "\0", 1) if where[0] == "@" else where)


def notify_reloading() -> None:
    """Tell systemd that the settings are being loaded; `READY=1` says that they are."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def keep_watchdog(loop: asyncio.AbstractEventLoop) -> None:
    """Tell systemd from now on that the event loop runs, as often as it asks (`WatchdogSec`)."""
    given = os.environ.get("WATCHDOG_USEC", "")
    if not given.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    wait = max(int(given) / 2e6, 0.01)

    def tell() -> None:
        notify("WATCHDOG=1")
        loop.call_later(wait, tell)

    tell()
