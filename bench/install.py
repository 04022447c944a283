"""Installs the servers that Twotick is compared with, from Debian's packages, as far as they are missing."""

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
    """The packages that are not installed."""
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
    """Install packages, and let no service of theirs run: what is measured are processes of our own.

    Raises:
        MeasurementError: that is not possible here.
    """
    rights = [] if os.geteuid() == 0 else [installed("sudo"), "-n"]
    apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", installed("apt-get"), "-qq", "-y"]
    try:
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "--no-install-recommends", "install", *packages], check=True)
        if Path("/run/systemd/system").exists():  # which starts services whatever the runlevel is said to be
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
        say(f"{error}; what is not there is left out. To install it: apt-get install {names}")


if __name__ == "__main__":
    run(main)
