"""The unit of deploy/systemd, as it is, under a systemd of its own: the first process of namespaces of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sockets import PATIENCE, patiently
from tests.tools import wanted

ROOT = Path(__file__).parents[2]

_ROOM = """
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$ROOM"
cd "$ROOM"
mkdir -p usr opt/python opt/src opt/packages opt/twotick/bin etc/systemd/system/twotick.service.d
mkdir -p proc sys dev/pts root home run var/lib -m 1777 tmp old
mount --rbind /usr usr
ln -s usr/bin usr/sbin usr/lib usr/lib64 .
cp /etc/ld.so.cache etc
mount --bind "$PYTHON" opt/python
mount --bind "$PACKAGES" opt/packages
mount --bind "$SOURCE/src" opt/src
cat > opt/twotick/bin/twotick <<END
#!/opt/python/bin/$INTERPRETER -P
import sys
sys.path[:0] = ["/opt/src", "/opt/packages"]
from twotick.cli import main
main()
END
chmod 755 opt/twotick/bin/twotick
echo root:x:0:0::/root:/bin/sh > etc/passwd
echo twotick:x:990:990::/var/lib/twotick:/usr/sbin/nologin >> etc/passwd
printf 'root:x:0:\\ntwotick:x:990:\\n' > etc/group
echo '127.0.0.1 localhost' > etc/hosts
echo 0123456789abcdef0123456789abcdef > etc/machine-id
printf '[Journal]\\nReadKMsg=no\\n' > etc/systemd/journald.conf
echo 'web = false' > etc/twotick.toml
cp "$SOURCE/deploy/systemd/twotick.service" etc/systemd/system
cat > etc/systemd/system/twotick.service.d/test.conf <<END
[Unit]
Wants=systemd-journald.service
After=systemd-journald.service
[Service]
WatchdogSec=8
Environment=LD_LIBRARY_PATH=/opt/python/lib
END
cd /lib/systemd/system
cp basic.target sysinit.target shutdown.target network-online.target "$ROOM/etc/systemd/system"
cp systemd-journald*.service systemd-journald*.socket "$ROOM/etc/systemd/system"
cd "$ROOM"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . old
cd /
umount -l old
echo the room is ready
exec env -i container=test PATH=/usr/bin:/usr/sbin SYSTEMD_UNIT_PATH=/etc/systemd/system \\
    /lib/systemd/systemd --unit=twotick.service --log-target=journal --show-status=no < /dev/null > /dev/null 2>&1
"""
"""Builds a root folder with the unit, and what it needs, and lets systemd run there. WatchdogSec is shorter."""

_SPACES = ("--mount", "--pid", "--fork", "--cgroup", "--ipc", "--uts", "--net", "--kill-child")


def _own_cgroup() -> Path:
    """Return the folder of the test's group of processes."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    top = next((each[1] for each in mounts if each[2] == "cgroup2"), None)
    here = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "")
    if top is None:
        pytest.skip("there is no cgroup2")
    return Path(top) / here.strip("/")


@contextmanager
def _booted(folder: Path) -> Generator[Callable[..., str]]:
    """Run systemd, and yield what runs a command beside it, and expects an exit status."""
    wanted("systemd-analyze", how="apt-get install systemd")
    if os.geteuid() != 0:
        pytest.skip("only root can run a systemd of its own")
    room, group = folder / "room", _own_cgroup() / f"twotick-test-{os.getpid()}"
    room.mkdir()
    python = Path(sys.executable).resolve()
    given = {
        "ROOM": str(room),
        "SOURCE": str(ROOT),
        "PYTHON": sys.base_prefix,
        "INTERPRETER": python.name,
        "PACKAGES": str(Path(pytest.__file__).parents[1]),
    }
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no group of processes can be made: {error}")
    command = f'echo $$ > "$0/cgroup.procs" && exec unshare {" ".join(_SPACES)} sh -ec "$1"'
    outer = subprocess.Popen(
        ["sh", "-c", command, group, _ROOM],
        env={"PATH": os.environ["PATH"], **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert outer.stdout is not None
        said = outer.stdout.readline()
        if said != "the room is ready\n":
            pytest.skip(f"systemd cannot run here: {said.strip()}")
        (first,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        enter = ["nsenter", "-t", first, "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net"]

        def do(*command: str) -> subprocess.CompletedProcess[str]:
            environment = {"PATH": "/usr/bin:/usr/sbin"}
            return subprocess.run([*enter, *command], env=environment, capture_output=True, text=True, timeout=PATIENCE)

        def run(*command: str, status: int = 0) -> str:
            done = do(*command)
            assert done.returncode == status, done
            return done.stdout

        for _ in patiently():
            if outer.poll() is not None:
                pytest.skip(f"systemd cannot run here: {outer.stdout.read().strip()}")
            if do("systemctl", "show").returncode == 0:
                break
        yield run
    finally:
        outer.kill()
        outer.communicate()
        _remove(group)


def _remove(group: Path) -> None:
    """Remove a group of processes, and those below it, once all processes have ended."""
    for _ in patiently():
        if "populated 0" in (group / "cgroup.events").read_text():
            break
    for each in (*sorted(group.rglob("*/"), reverse=True), group):
        each.rmdir()


def test_the_unit_runs_under_systemd(tmp_path: Path) -> None:
    """It is ready, loads settings again or says why not, is started again when it hangs, and stops."""
    with _booted(tmp_path) as run:

        def told(name: str) -> str:
            return run("systemctl", "show", "--property", name, "--value", "twotick").strip()

        def log() -> str:
            return run("journalctl", "--output=cat", "--unit=twotick")

        def wait_for(name: str, value: str) -> None:
            """Wait until a property has a value, in one process: each look costs a program of systemd."""
            look = f'test "$(systemctl show --property {name} --value twotick)" = {value}'
            limited = f"for each in $(seq 100); do {look} && exit; sleep 0.3; done; echo late"
            assert run("sh", "-c", limited) == "", (name, value, log())

        wait_for("SubState", "running")
        main = told("MainPID")
        status = run("cat", f"/proc/{main}/status")
        assert all(line in status for line in ("CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"))

        settings = "echo 'web = false\n{}' > /etc/twotick.toml"
        run("sh", "-c", settings.format("max_rooms = 77"))
        run("systemctl", "reload", "twotick")
        assert "changed: max_rooms" in log()
        run("sh", "-c", settings.format("max_rooms = -1"))
        run("systemctl", "reload", "twotick", status=1)
        assert "the setting max_rooms cannot be -1" in log()
        assert (told("ActiveState"), told("MainPID")) == ("active", main)
        run("sh", "-c", settings.format(""))

        run("kill", f"-{signal.SIGSTOP}", main)
        wait_for("NRestarts", "1")
        wait_for("SubState", "running")
        assert "Watchdog timeout" in log()
        run("systemctl", "stop", "twotick")
        assert (told("ActiveState"), told("Result")) == ("inactive", "success")
