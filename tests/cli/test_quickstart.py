"""`twotick quickstart`, and `twotick cert` with a certificate authority."""

import os
import re
import signal
import socket
import ssl
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pexpect
import pytest

from tests.cli import authority
from tests.cli.commands import COMMAND, environment, run, started
from tests.cli.operating import PASSWORD, address, basic, log_in
from tests.sockets import PATIENCE
from tests.store.postgres_server import free_port
from twotick import admin
from twotick.quickstart import Hand, NotSetUp, Place, ServerPlan, own_place, set_up, system_place
from twotick.quickstart.setting_up import why_self_signed
from twotick.server.issuing import CertificateOrder, is_due, read_order
from twotick.server.tls import TlsError
from twotick.store import StoreLimits


class Newcomer:
    """An operator who has nothing yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.config = folder, folder / "data", folder / "etc" / "settings.toml"

    @property
    def where(self) -> list[str]:
        return ["--config", str(self.config), "--data", str(self.data)]

    def files(self) -> dict[str, bytes | None]:
        """What there is in the folder, but for what a database changes when it is read."""
        found = sorted(each for each in self.folder.rglob("*") if not re.search(r"twotick\.db-|pebble|turn", str(each)))
        return {str(each): each.read_bytes() if each.is_file() else None for each in found}


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def serving(**more: str) -> dict[str, str]:
    """The environment of a server whose settings do not come from the tests, but for ports and addresses."""
    ports = {f"TWOTICK_{name}": "0" for name in ("PORT", "TLS_PORT", "WEB_PORT", "WEB_TLS_PORT")}
    return environment(TWOTICK_HOST="127.0.0.1", **ports, **more) | {"TWOTICK_MEMORY": "no"}


def test_a_server_is_set_up_with_a_certificate_of_an_authority_and_renews_it(newcomer: Newcomer) -> None:
    with authority.running(newcomer.folder) as pebble:
        asked = ["--acme-server", pebble.directory, "--acme-port", str(pebble.port), "--yes"]
        command = ["quickstart", "localhost", "--member", "alice", *asked, *newcomer.where]
        first = run(*command, stdin=f"{PASSWORD}\n".encode(), env=environment(**pebble.trust))
        assert (first.returncode, first.stderr) == (0, ""), first
        assert re.search(r"^\w{5}(-\w{5}){4}$", first.stdout, re.MULTILINE), "there is an invitation"
        certificate = newcomer.data / "tls" / "certificate.pem"
        with started("serve", "--config", str(newcomer.config), env=serving()) as server:
            assert server.line().startswith("listening on ")
            found = re.fullmatch(r"listening with TLS on (\S+), (SHA256:\S+)", server.line())
            assert found
            context = ssl.create_default_context(cafile=pebble.root)
            with socket.create_connection(address(found[1])) as plain:
                context.wrap_socket(plain, server_hostname="localhost").close()  # browsers trust it
            context.check_hostname = False
            alice, line = log_in(address(found[1]), "alice", basic("alice", PASSWORD), context=context)
            assert line == "REGISTERED DUPLEX alice"
            renew = ["cert", "--renew", "--config", str(newcomer.config)]
            early = run(*renew, env=serving(**pebble.trust))
            assert (early.returncode, early.stderr) == (0, "")
            assert re.fullmatch(
                r"the certificate is valid until \d{4}-\d\d-\d\d: it is not renewed yet\n", early.stdout
            )
            key = certificate.with_name("key.pem").read_bytes()
            certificate.rename(newcomer.folder / "old.pem")
            ended = run(*renew, env=serving(**pebble.trust))
            assert (ended.returncode, ended.stderr) == (0, "")
            assert ended.stdout.startswith("the certificate was renewed, and is valid until ")
            assert certificate.read_bytes() != (newcomer.folder / "old.pem").read_bytes()
            assert certificate.with_name("key.pem").read_bytes() == key
            while "the certificate was replaced" not in server.stderr.readline():  # without a restart or a signal
                assert server.process.poll() is None
            alice.close()
            assert server.end(signal.SIGTERM).returncode == 0

        folder = ["--folder", str(newcomer.folder / "no")]
        refused = run("cert", "--acme", "nowhere.invalid", *asked[:-1], *folder, env=environment(**pebble.trust))
        assert (refused.returncode, refused.stdout) == (69, "")
        assert refused.stderr.startswith("twotick: the authority cannot reach nowhere.invalid (")
        assert not (newcomer.folder / "no" / "key.pem").exists()
        with socket.create_server(("", pebble.port)):
            ended = run("cert", "--acme", "localhost", *asked[:-1], *folder, env=environment(**pebble.trust))
        assert (ended.returncode, ended.stdout) == (69, "")
        assert f"port {pebble.port}, where the authority looks for its challenge, cannot be used" in ended.stderr


def test_an_authority_that_is_away_is_one_clear_line_and_leaves_no_certificate(newcomer: Newcomer) -> None:
    where = f"https://127.0.0.1:{free_port()}/dir"
    ended = run("quickstart", "localhost", "--acme-server", where, "--yes", *newcomer.where)
    assert ended.returncode == 69
    told = ended.stderr.splitlines()
    assert re.fullmatch(
        rf"twotick: the authority {where} does not answer as one does \(.* refused\): try again later", told[0]
    )
    assert told[-1] == "twotick: what was done before stays: run it again"
    assert not (newcomer.data / "tls" / "certificate.pem").exists()


def test_a_server_without_a_public_name_gets_a_certificate_of_its_own(newcomer: Newcomer) -> None:
    command = ["quickstart", "chat.example", *newcomer.where]
    mask = os.umask(0)
    try:
        first = run(*command)
    finally:
        os.umask(mask)
    assert (first.returncode, first.stderr) == (0, "")
    assert "certificate  self-signed, since chat.example is no public name\n" in first.stdout
    assert "members      left out: add the first with twotick user add NAME --config " in first.stdout
    assert tomllib.loads(newcomer.config.read_text("utf-8")) == {
        "data": str(newcomer.data),
        "host": tomllib.loads(newcomer.config.read_text("utf-8"))["host"],
        "web_url": "https://chat.example:18444",
        "tls_certificate": str(newcomer.data / "tls" / "certificate.pem"),
        "tls_key": str(newcomer.data / "tls" / "key.pem"),
        "sign_up": "invite",
        "guests": False,
        "backup_folder": str(newcomer.data / "backups"),
    }
    modes = {each.relative_to(newcomer.folder): each.stat().st_mode for each in newcomer.folder.rglob("*")}
    assert [each for each, mode in modes.items() if mode & 0o022] == [], "no one else can change them"
    assert [modes[Path(each)] & 0o777 for each in ("data", "data/tls", "data/tls/key.pem")] == [0o700, 0o700, 0o600]
    before = newcomer.files()
    again = run(*command)
    assert (again.returncode, again.stderr) == (0, "")
    assert newcomer.files() == before
    other = run("quickstart", "other.example", *newcomer.where)
    assert (other.returncode, newcomer.files()) == (0, before)
    assert "Warning: it is for chat.example, not for other.example\n" in other.stdout
    renewed = run("cert", "--renew", "--config", str(newcomer.config), env=serving())
    assert (renewed.returncode, renewed.stdout) == (64, "")
    assert "is from no authority: there is nothing to renew" in renewed.stderr


@pytest.mark.parametrize(
    ("typed", "name"),
    [("CHAT.Example.", "chat.example"), (" chat.example ", "chat.example"), ("[::1]", "[::1]"), ("::1", "[::1]")],
)
def test_a_name_may_be_typed_in_other_ways(newcomer: Newcomer, typed: str, name: str) -> None:
    ended = run("quickstart", typed, "--self-signed", "--dry-run", *newcomer.where)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "in the way" not in ended.stdout
    assert f"\npage         https://{name}:18444/\nterminal     twotick login NAME@{name}\n" in ended.stdout


def test_the_first_member_is_asked_for_until_there_is_one(newcomer: Newcomer) -> None:
    with admin.opened(admin.DataFolder(newcomer.data), StoreLimits(), create=True):
        pass  # as after Ctrl+C where the password is asked for
    terminal = cast(
        Any,
        pexpect.spawn(
            COMMAND,
            ["quickstart", "chat.example", *newcomer.where],
            env=cast(Any, serving()),
            timeout=PATIENCE,
            encoding="utf-8",
            use_poll=True,
        ),
    )
    with terminal:
        terminal.expect("The name of the first member")
        terminal.sendline("alice")
        for prompt in ("Password: ", "Repeat the password: "):
            terminal.expect_exact(prompt)
            terminal.waitnoecho()
            terminal.sendline("correct horse")
        terminal.expect("members      alice: added")
        terminal.expect(pexpect.EOF)


def test_a_full_disk_is_told_with_the_file(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    file = newcomer.folder / "some.toml"
    with pytest.raises(OSError, match=re.escape(f"No space left on device: '{file}'")):
        Hand(print, dry=False).write("settings", file, "port = 1\n", 0o644)
    assert newcomer.files() == {}


def test_a_dry_run_changes_nothing(newcomer: Newcomer) -> None:
    ended = run("quickstart", "chat.example", "--member", "alice", "--dry-run", *newcomer.where)
    assert (ended.returncode, ended.stderr, newcomer.files()) == (0, "", {})
    assert f"settings     would write {newcomer.config}:\n    # docs" in ended.stdout
    assert re.search(r"^members +would run: \S+ user add alice --config ", ended.stdout, re.MULTILINE)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A machine on which nothing is set up yet."""
    monkeypatch.setattr("twotick.quickstart.setting_up.is_installed", lambda: True)
    place = system_place()
    program = Path("/opt/twotick/bin/twotick")
    return Place(tmp_path / "twotick.toml", tmp_path / "data", place.owner, tmp_path / "units", program)


def test_a_dry_run_for_a_machine_shows_every_file_and_command(machine: Place) -> None:
    lines: list[str] = []
    set_up(ServerPlan("chat.example.org", "alice"), machine, Hand(lines.append, dry=True))
    text = "\n".join(lines)
    commands = re.findall(r"would run: (.*)", text)
    starts = ["install -d -m 700 -o twotick -g twotick", "setpriv --reuid=twotick", "setpriv --reuid=twotick"]
    for each in starts:
        assert any(command.startswith(each) for command in commands), text
    assert any(re.search(r"cap.*net_bind_service .* cert chat.example.org .*--acme$", each) for each in commands), text
    written = set(re.findall(r"would write (.*):", text))
    assert {Path(each).name for each in written} == {
        "twotick.toml",
        "twotick.service",
        "twotick-certificate.service",
        "twotick-certificate.timer",
    }
    assert f"    ExecStart={machine.program} serve\n" in text
    assert f"    ExecStart={machine.program} cert --renew\n" in text
    assert "18443 (programs), 18444 (the page), 80 (the certificate)" in text
    assert not any(machine.data.parent.iterdir())


def test_units_that_are_there_stay_as_they_are(machine: Place, tmp_path: Path) -> None:
    assert machine.units
    machine.units.mkdir()
    (machine.units / "twotick.service").write_text("mine")
    (machine.units / "twotick-certificate.timer").write_text(machine.unit("twotick-certificate.timer"))
    lines: list[str] = []
    set_up(ServerPlan("chat.example.org"), machine, Hand(lines.append, dry=True))
    assert any("twotick.service is there, other than this version" in line for line in lines)
    assert any("twotick-certificate.timer is there" in line for line in lines)


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("/home/me/venv/bin/twotick", "the service cannot run /home/me/venv/bin/twotick, because it sees no folders"),
        ("/opt/it's/twotick", "systemd runs no program with quotes or backslashes in its name, such as /opt/it's/"),
    ],
)
def test_a_service_that_could_not_run_is_not_set_up(machine: Place, program: str, problem: str) -> None:
    with pytest.raises(NotSetUp, match=problem):
        set_up(ServerPlan("chat.example.org"), replace(machine, program=Path(program)), Hand(print, dry=False))
    assert not any(machine.data.parent.iterdir())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("prot = 1\n", "there is no setting prot .did you mean port.*\n.*set this right, or move the file away"),
        ("", 'add these lines, and run this again:\n.*data = ".*\n.*tls_certificate = ".*\n.*tls_key = "'),
        ('data = "/x"\ntls_certificate = "a"\ntls_key = "b"\n', "has the data in /x, not in "),
    ],
)
def test_settings_that_are_there_are_not_changed(newcomer: Newcomer, settings: str, problem: str) -> None:
    newcomer.config.parent.mkdir()
    newcomer.config.write_text(settings)
    ended = run("quickstart", "chat.example", *newcomer.where)
    assert ended.returncode == 64
    assert re.search(problem, ended.stderr)
    assert newcomer.config.read_text("utf-8") == settings
    assert not (newcomer.data / "tls").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["quickstart"], "name this machine as others call it, for example chat.example"),
        (["quickstart", "chat example"], "'chat example' is not a host name"),
        (["quickstart", "bücher.example"], "'bücher.example' is not a host name: .* xn--bcher-kva.example\\n"),
        (["quickstart", "chat.example.org:18443"], "'chat.example.org:18443' is not a host name: .* chat.example\\n"),
        (["quickstart", "https://chat.example.org/"], "'https://chat.example.org/' is not a host name"),
        (["quickstart", "a\nb"], r"'a\\nb' is not a host name"),
        (["quickstart", "300.1.1.1"], "'300.1.1.1' is not a host name"),
        (["cert", "192.168.1"], "'192.168.1' is neither a host name nor an IP address"),
        (
            ["quickstart", "chat.example", "--acme-server", "acme.example"],
            "the authority has no address such as https:",
        ),
        (["quickstart", "*.chat.example"], "no client can connect to '\\*.chat.example'"),
        (["quickstart", "::"], "no client can connect to '::'"),
        (["quickstart", "fe80::1%eth0"], "no client can connect to 'fe80::1%eth0'"),
        (["quickstart", "chat.example", "--member", "bad name"], "'bad name' cannot be the name of a member"),
        (["quickstart", "chat.example", "--acme-server", "https://127.0.0.1:1/"], "do you agree to the terms of serv"),
        (["quickstart", "chat.example", "--acme-port", "0"], "invalid value for '--acme-port'"),
        (["cert"], "name the host, for example chat.example"),
        (["cert", "--renew", "chat.example"], "--renew takes no names"),
        (["cert", "--acme", "*.chat.example"], "an authority gives no certificate for '\\*.chat.example' over HTTP"),
        (["cert", "--acme", "192.0.2.1"], "the authority|'192.0.2.1'"),
    ],
)
def test_what_cannot_be_set_up_is_said(newcomer: Newcomer, arguments: list[str], problem: str) -> None:
    where = newcomer.where if arguments[0] == "quickstart" else ["--folder", str(newcomer.data / "tls")]
    if "192.0.2.1" in arguments:
        where += ["--acme-server", f"https://127.0.0.1:{free_port()}/dir"]
    ended = run(*arguments, *where)
    assert ended.returncode in (64, 69)
    assert ended.stdout == ""
    assert re.search(problem, ended.stderr)
    assert not newcomer.config.exists()


def test_a_certificate_is_renewed_when_a_third_of_its_time_is_left() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = start, start + timedelta(days=90)
    assert [is_due(times, start + timedelta(days=days)) for days in (0, 59, 60, 100)] == [False, False, True, True]


@pytest.mark.parametrize("content", ["", "{}", '{"names": 5, "directory": "", "email": "", "port": 80}', "[1]"])
def test_an_order_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    assert read_order(tmp_path) is None
    (tmp_path / "authority.json").write_text(content)
    with pytest.raises(TlsError, match=r"authority\.json does not say what to renew: remove it"):
        read_order(tmp_path)
    (tmp_path / "authority.json").write_text('{"names": ["a"], "directory": "b", "email": "", "port": 80}')
    assert read_order(tmp_path) == CertificateOrder(["a"], "b")


@pytest.mark.parametrize(
    ("name", "self_signed"),
    [
        ("chat.example.org", False),
        ("chat.example", True),
        ("192.0.2.1", True),
        ("localhost", True),
        ("chat.lan", True),
        ("chat", True),
    ],
)
def test_only_public_names_are_asked_of_an_authority(machine: Place, name: str, self_signed: bool) -> None:
    assert (why_self_signed(ServerPlan(name), machine) is not None) is self_signed
    assert why_self_signed(ServerPlan(name, directory="https://127.0.0.1/"), machine) is None
    assert why_self_signed(ServerPlan(name, self_signed=True, directory="x"), machine) == "you asked for that"


def is_high(port: int) -> bool:
    return port >= 1024


def test_port_80_is_asked_for_only_if_this_user_may_use_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Place(tmp_path / "a", tmp_path / "b", None, None, Path("twotick"))
    monkeypatch.setattr("twotick.quickstart.setting_up.may_use_port", is_high)
    reason = "an authority would look at port 80, which needs root"
    assert why_self_signed(ServerPlan("chat.example.org"), own) == reason
    assert why_self_signed(ServerPlan("chat.example.org", port=8080), own) is None


@pytest.mark.parametrize("folder", ["da\udcffta", "da\nta", "da\x7fta"])
def test_a_folder_that_no_settings_can_name_is_refused(newcomer: Newcomer, folder: str) -> None:
    place = own_place(newcomer.config, newcomer.folder / folder)
    with pytest.raises(NotSetUp, match="has characters that settings cannot have"):
        set_up(ServerPlan("chat.example"), place, Hand(print, dry=False))
    assert newcomer.files() == {}


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ("/opt/twotick/bin/twotick", "/opt/twotick/bin/twotick"),
        ("/opt/my %h/tw", '"/opt/my %%h/tw"'),
    ],
)
def test_a_unit_names_the_command_whatever_its_folder_is_called(machine: Place, program: str, shown: str) -> None:
    place = replace(machine, program=Path(program))
    assert f"\nExecStart={shown} serve\nExecReload={shown} reload\n" in place.unit("twotick.service")
