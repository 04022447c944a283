"""The steps in which a server is set up. Each looks first whether its part is there, so all can be done again."""

import ipaddress
import json
import pwd
import shlex
import shutil
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twotick.quickstart.hand import Hand
from twotick.quickstart.place import RENEWAL, SERVICE, Place
from twotick.server.issuing import CHALLENGE_PORT, addresses_here, is_installed, may_use_port
from twotick.server.options import WEB_TLS_PORT, bracketed
from twotick.server.tls import TlsError, certificate_names, check_name
from twotick.settings import SettingsError, load
from twotick.wire import is_name

_NOT_PUBLIC: Final = ("alt", "arpa", "example", "internal", "invalid", "lan", "local", "localhost", "onion", "test")
"""Ends of names for which no public authority gives certificates (RFC 6761 and others)."""

_HIDDEN: Final = ("/home/", "/root/", "/tmp/", "/run/user/", "/var/tmp/")  # noqa: S108 # only compared
"""Folders that the service does not see."""


class NotSetUp(Exception):
    """Something is in the way; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What the operator wants.

    Attributes:
        name: the host name or address by which others call the server.
        member: the name of the first member; empty for none.
        self_signed: make a certificate, and ask no authority.
        directory: the directory of the authority; empty for the usual one.
        port: where its challenge is answered.
        email: where it can reach the operator; may be empty.
    """

    name: str
    member: str = ""
    self_signed: bool = False
    directory: str = ""
    port: int = CHALLENGE_PORT
    email: str = ""


def why_self_signed(plan: ServerPlan, place: Place) -> str | None:
    """Return why the certificate is self-signed; None if an authority is asked for it."""
    if plan.self_signed:
        return "you asked for that"
    if plan.directory:
        return None
    if not _is_public_name(plan.name):
        return f"{plan.name} is no public name"
    if place.owner is None and not may_use_port(plan.port):
        return f"an authority would look at port {plan.port}, which needs root"
    return None


def _is_public_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." in name and name.lower().rpartition(".")[2] not in _NOT_PUBLIC
    return False


def set_up(plan: ServerPlan, place: Place, hand: Hand) -> None:
    """Set up a server, and leave what is there as it is.

    Raises:
        NotSetUp: something is in the way.
        StepFailed: a command failed.
        OSError: a file cannot be written.
    """
    self_signed = why_self_signed(plan, place)
    try:
        check(plan, place)
    except NotSetUp as error:
        if not hand.is_dry:
            raise
        hand.tell("in the way", str(error))
    _make_user(place, hand)
    folder = _make_settings(plan, place, hand)
    by_authority = _make_certificate(plan, place, hand, folder, self_signed)
    _add_member(plan, place, hand)
    if place.units is None:
        hand.tell("service", "left out, since this is no server of the whole machine: start it with")
        hand.note(f"{'':<12} {place.shown('serve')}")
        if by_authority:
            hand.tell("renewal", f"left out: run this every day: {place.shown('cert', '--renew')}")
    else:
        _make_service(place, place.units, hand, by_authority=by_authority)
    _advise(plan, place, hand, by_authority=by_authority)


def host_name(text: str) -> str:
    """Return the name of a host as settings and certificates have it, from one that a person has typed."""
    name = text.strip().lower()
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name.removesuffix(".")


def check(plan: ServerPlan, place: Place) -> None:
    """Check what can be checked before anything is done.

    Raises:
        NotSetUp: something is in the way.
    """
    _check_host(plan.name)
    if plan.directory and not plan.directory.startswith("https://"):
        raise NotSetUp(f"the authority has no address such as https://acme.example/directory: {plan.directory!r}")
    if plan.member and not is_name(plan.member.encode(errors="replace")):
        raise NotSetUp(
            f"{plan.member!r} cannot be the name of a member: use 1 to 32 letters and digits, and no word of the"
            " protocol"
        )
    for path in (place.settings, place.data, place.program):
        if not str(path).isprintable():
            raise NotSetUp(f"{str(path)!r} has characters that settings cannot have: use a folder with another name")
    if why_self_signed(plan, place) is None and not is_installed():
        raise NotSetUp(
            "to get a certificate from an authority, install the library for that: pip install 'twotick[acme]' in the"
            " environment of Twotick; or make one with --self-signed"
        )
    if place.units is not None and set("\"'\\") & set(str(place.program)):
        raise NotSetUp(
            f"systemd runs no program with quotes or backslashes in its name, such as {place.program}: install Twotick"
            " elsewhere, for example in /opt/twotick"
        )
    if place.units is not None and str(place.program).startswith(_HIDDEN):
        raise NotSetUp(
            f"the service cannot run {place.program}, because it sees no folders of users: install Twotick elsewhere,"
            " for example in /opt/twotick"
        )


def _check_host(name: str) -> None:
    """Check that others can call a server by a name or an address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        try:
            check_name(name)
        except TlsError as error:
            raise NotSetUp(str(error)) from error
        is_one = not name.startswith("*")
    else:
        is_one = not (address.is_unspecified or address.is_multicast or "%" in name)
    if not is_one:
        raise NotSetUp(f"no client can connect to {name!r}: write the name or the address of this one machine")


def _make_user(place: Place, hand: Hand) -> None:
    if place.owner is not None:
        try:
            pwd.getpwnam(place.owner)
            hand.tell("user", f"{place.owner} is there")
        except KeyError:
            home = ["--home-dir", str(place.data), "--shell", "/usr/sbin/nologin"]
            hand.run("user", ["useradd", "--system", *home, place.owner])
            if not hand.is_dry:
                hand.tell("user", f"{place.owner}: made")
    if place.data.is_dir():
        hand.tell("data", f"{place.data} is there")
        return
    owner = [] if place.owner is None else ["-o", place.owner, "-g", place.owner]
    hand.run("data", ["install", "-d", "-m", "700", *owner, str(place.data)])
    if not hand.is_dry:
        hand.tell("data", f"{place.data}: made")


def _make_settings(plan: ServerPlan, place: Place, hand: Hand) -> Path:
    """Write the settings; return the folder of the certificate."""
    folder = place.data / "tls"
    content = _settings(plan, place, folder)
    if not place.settings.exists():
        hand.write("settings", place.settings, content, 0o644)
        return folder
    try:
        load(place.settings, {})
        found: dict[str, Any] = tomllib.loads(place.settings.read_text("utf-8"))
    except SettingsError as error:
        raise NotSetUp(f"{error}\nset this right, or move the file away, and run the command again") from error
    wanted = {"data", "tls_certificate", "tls_key"}
    if missing := wanted - found.keys():
        lines = "\n".join(line for line in content.splitlines() if line.partition(" ")[0] in missing)
        raise NotSetUp(f"{place.settings} exists and stays as it is: add these lines, and run this again:\n{lines}")
    if Path(found["data"]) != place.data:
        raise NotSetUp(
            f"{place.settings} has the data in {found['data']}, not in {place.data}: name both files with --config"
            " and --data"
        )
    hand.tell("settings", f"{place.settings} is there")
    return Path(found["tls_certificate"]).parent


def _settings(plan: ServerPlan, place: Place, folder: Path) -> str:
    """Return the content of the settings file."""

    def text(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)

    lines = [
        "# docs/operations.md explains all settings.",
        f"data = {text(place.data)}",
        f"host = {text(_all_addresses())}",
        f"web_url = {text(f'https://{bracketed(plan.name)}:{WEB_TLS_PORT}')}",
        f"tls_certificate = {text(folder / 'certificate.pem')}",
        f"tls_key = {text(folder / 'key.pem')}",
        'sign_up = "invite"',
        "guests = false",
        f"backup_folder = {text(place.data / 'backups')}  # another disk is better",
    ]
    return "\n".join(lines) + "\n"


def _all_addresses() -> str:
    """Return what stands for all addresses of this machine."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104 # the operator asks for a server that others reach, and it is a safe one
    return "::"


def _make_certificate(plan: ServerPlan, place: Place, hand: Hand, folder: Path, self_signed: str | None) -> bool:
    """Get the certificate; return whether it is one of an authority."""
    certificate = folder / "certificate.pem"
    if certificate.exists():
        hand.tell("certificate", f"{certificate} is there")
        names = certificate_names(certificate)
        if plan.name not in names:
            hand.tell("", f"Warning: it is for {', '.join(names)}, not for {plan.name}")
        return (folder / "authority.json").exists()
    command = place.command("cert", plan.name, "--folder", str(folder))
    if self_signed is not None:
        hand.run("certificate", place.as_owner(command), quiet=True)
        hand.tell("certificate", f"self-signed, since {self_signed}")
        return False
    command += ["--acme"]
    command += ["--acme-server", plan.directory] if plan.directory else []
    command += ["--acme-port", str(plan.port)] if plan.port != CHALLENGE_PORT else []
    command += ["--email", plan.email] if plan.email else []
    if not hand.is_dry:
        hand.tell("certificate", f"asking the authority for {plan.name} ...")
    hand.run("certificate", place.as_owner(command, low_port=plan.port < 1024), quiet=True)
    if not hand.is_dry:
        hand.tell("", f"{certificate}: got")
    return True


def count_members(place: Place, hand: Hand) -> int:
    """Return how many members there are, as far as that can be found out."""
    if not (place.data / "twotick.db").exists():
        return 0
    return len((hand.ask(place.as_owner(place.command("user", "list", "--json"))) or "").splitlines())


def _add_member(plan: ServerPlan, place: Place, hand: Hand) -> None:
    """Add the first member, and print an invitation for the next one."""
    if members := count_members(place, hand):
        hand.tell("members", f"{members}, so none is added")
        return
    if not plan.member:
        hand.tell("members", f"left out: add the first with {place.shown('user', 'add', 'NAME')}")
        return
    hand.run("members", place.as_owner(place.command("user", "add", plan.member)))
    if not hand.is_dry:
        hand.tell("members", f"{plan.member}: added")
        hand.tell("invitation", "for the next member:")
    hand.run("invitation", place.as_owner(place.command("user", "invite")))


def _make_service(place: Place, units: Path, hand: Hand, *, by_authority: bool) -> None:
    wanted = [SERVICE, *(RENEWAL if by_authority else ())]
    for name in wanted:
        file, content = units / name, place.unit(name)
        if not file.exists():
            hand.write("service", file, content, 0o644)
        elif file.read_text("utf-8") == content:
            hand.tell("service", f"{file} is there")
        else:
            hand.tell("service", f"{file} is there, other than this version would write it, and stays so")
    link = Path("/usr/local/bin/twotick")
    if shutil.which("twotick") is None and not link.is_symlink():
        hand.run("command", ["ln", "-s", str(place.program), str(link)])
    if not Path("/run/systemd/system").is_dir():
        hand.tell("service", "not started, since systemd does not run here; without it, the command is")
        hand.note(f"{'':<12} {' '.join(place.as_owner(place.command('serve')))}")
        return
    to_start = [name for name in (SERVICE, RENEWAL[1]) if name in wanted]
    if all(hand.ask(["systemctl", "is-active", name]) is not None for name in to_start):
        hand.tell("service", "runs")
        return
    hand.run("service", ["systemctl", "daemon-reload"])
    hand.run("service", ["systemctl", "enable", "--now", *to_start])
    if not hand.is_dry:
        hand.tell("service", "started, and starts with the machine")


def _advise(plan: ServerPlan, place: Place, hand: Hand, *, by_authority: bool) -> None:
    """Say what is to be done outside this machine, and next."""
    ports = {"18443": "programs", str(WEB_TLS_PORT): "the page"}
    if by_authority:
        ports[str(CHALLENGE_PORT)] = "the certificate"
    hand.note()
    if _is_public_name(plan.name) or by_authority:
        here, elsewhere = addresses_here(plan.name)
        now = f"leads to {', '.join(here + elsewhere)} now" if here or elsewhere else "leads nowhere yet"
        whose = ", which is not an address of this machine itself" if elsewhere and not here else ""
        hand.tell("DNS", f"let {plan.name} lead to this machine (records A and AAAA); it {now}{whose}")
    hand.tell("firewall", f"let these TCP ports in: {', '.join(f'{port} ({use})' for port, use in ports.items())}")
    hand.tell("page", f"https://{bracketed(plan.name)}:{WEB_TLS_PORT}/")
    hand.tell("terminal", f"twotick login {plan.member or 'NAME'}@{bracketed(plan.name)}")
    hand.tell("next", f"{place.shown('user', 'invite')}   invites another member")
    hand.tell("", f"{place.shown('status')}   says how the server is")
    hand.tell(
        "", f"{shlex.join(['twotick', 'doctor', '--config', str(place.settings)])}   says what is wrong, and what to do"
    )
