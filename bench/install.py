"""Install the servers that Twotick is compared with from Debian's packages, unless they are installed."""

import os
import shutil
import subprocess
from pathlib import Path

import peers
import stored_peers
from common import run, say
from servers import MeasurementError, Program, installed

_TOOLS = ("strace", "taskset")
_PACKAGE_OF_TOOL = {"taskset": "util-linux"}


def missing() -> list[str]:
    """Return the names of the packages that are missing."""
    programs = [*peers.PEERS, *(peer.program for peer in stored_peers.PEERS.values())]
    packages = {program.package for program in programs if program.package and not _there(program)}
    packages |= {_PACKAGE_OF_TOOL.get(tool, tool) for tool in _TOOLS if shutil.which(tool) is None}
    return sorted(packages)


def _there(program: Program) -> bool:
    try:
        program.version()
    except MeasurementError:
        return False
    return True


def install(packages: list[str]) -> None:
    """Install packages without starting their services: the measurements start processes of their own.

    Raises:
        MeasurementError: apt-get failed, or this user may not run it.
    """
    rights = [] if os.geteuid() == 0 else [installed("sudo"), "-n"]
    apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", installed("apt-get"), "-qq", "-y"]
    try:
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "--no-install-recommends", "install", *packages], check=True)
        if Path("/run/systemd/system").exists():  # systemd ignores RUNLEVEL
            subprocess.run([*rights, "systemctl", "disable", "--now", *packages], check=False)
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"apt-get ended with status {error.returncode}") from error


def main() -> None:
    packages = missing()
    if not packages:
        return
    names = " ".join(packages)
    say(f"installing {names}")
    try:
        install(packages)
    except MeasurementError as error:
        say(f"{error}; missing servers are left out. To install them: apt-get install {names}")


if __name__ == "__main__":
    run(main)
