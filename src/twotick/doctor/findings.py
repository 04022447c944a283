"""What can be found about an installation, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


_WARNING, _WRONG = Level.WARNING, Level.WRONG

PROBLEMS: Final[dict[str, tuple[Level, str]]] = {
    "a setting is not valid": (_WRONG, "correct it: the server does not start with it, and does not load it again"),
    "the settings are not safe": (_WRONG, "change them as that says: the server does not start with them"),
    "the settings cannot be read by the server": (_WRONG, "let the user who runs the server read the file"),
    "there is no data folder": (
        _WARNING,
        "start the server, which makes it; or name the folder with --data or --config",
    ),
    "the data folder cannot be used": (_WRONG, "name a folder with --data or the setting data"),
    "the data are another user's": (_WRONG, "run the server and its commands as that user"),
    "the owner of the data cannot read this program": (_WRONG, "install it where that user may read it, such as /opt"),
    "some data are another user's": (_WRONG, "a command ran as another user: give them back with chown -R"),
    "the data cannot be written": (_WRONG, "look whether the disk is mounted read-only, and whose the folder is"),
    "others can change the data": (_WRONG, "run chmod -R go-rwx on the folder: the server does not use it so"),
    "others can read the data": (_WARNING, "run chmod -R go-rwx on the folder"),
    "no server runs on these data": (_WARNING, "start it: systemctl start twotick, or twotick serve"),
    "the server does not answer": (_WRONG, "look at its log; start it again if it stays so"),
    "the server warns": (_WARNING, "run twotick status, which says what to do"),
    "a port is taken": (_WRONG, "stop the program that listens there, or choose another port"),
    "the page has no port": (_WARNING, "stop the program that listens there, or set web_port or web_tls_port"),
    "a port needs a right": (_WRONG, "choose a port from 1024, or give the server CAP_NET_BIND_SERVICE"),
    "the server does not listen on a port": (_WARNING, "start it again: the setting changed after it was started"),
    "an address cannot be used": (_WRONG, "correct the setting host or metrics_host"),
    "the certificate cannot be used": (_WRONG, "do as that says, and run twotick reload"),
    "the certificate has expired": (_WRONG, "renew it: clients do not accept it"),
    "the certificate is not valid yet": (_WRONG, "look at the clock; else wait, or renew it"),
    "the certificate expires soon": (_WARNING, "renew it: the server notices when the files change"),
    "the certificate was not renewed": (_WARNING, "run twotick cert --renew to see why"),
    "the certificate has another name": (_WARNING, "get one for the name by which web_url calls the server"),
    "the clock is not synchronised": (_WARNING, "install a client of NTP, such as systemd-timesyncd or chrony"),
    "the clock is behind": (_WRONG, "set it: files are from its future"),
    "the disk is full": (_WRONG, "make room on it: the server refuses messages"),
    "the disk is nearly full": (_WARNING, "make room on it before the server refuses messages"),
    "the disk is slow": (_WARNING, "look what else uses it: each batch of messages waits for it"),
    "the database is of another program": (_WRONG, "name the right folder with --data or --config"),
    "the database is of a newer version": (_WRONG, "install that version, or restore a backup of this one"),
    "the database is damaged": (_WRONG, "run twotick check, and restore a backup"),
    "the database cannot be read": (_WRONG, "look at the disk, and whose the file is"),
    "the database was not looked at": (_WARNING, "start the server, which puts that right, or run twotick check"),
    "PostgreSQL cannot be reached": (_WRONG, "start it, or correct the setting database"),
    "NATS cannot be reached": (_WRONG, "start it, or correct the setting bus"),
    "the mail server cannot be used": (_WRONG, "correct the settings mail_url, mail_password_file and mail_ca"),
    "no backups are made": (_WARNING, "set backup_folder, or run twotick backup every day"),
    "there is no backup yet": (_WARNING, "look in the log for: the backup failed"),
    "the last backup is too old": (_WARNING, "look in the log for: the backup failed"),
    "the name leads nowhere": (_WARNING, "make a DNS record (A or AAAA) that leads to this machine"),
    "the name leads elsewhere": (_WARNING, "that is right behind a router or a proxy; else correct the DNS record"),
}
"""Every problem that can be found: how bad it is, and what to do. docs/operations.md lists them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How a part of an installation is.

    Attributes:
        part: the part.
        level: how it is.
        text: what was found.
        remedy: what to do; empty if it is fine.
    """

    part: str
    level: Level
    text: str
    remedy: str = ""


def fine(part: str, text: str) -> Finding:
    """Return that a part is as it should be."""
    return Finding(part, Level.OK, text)


def problem(part: str, name: str, detail: str = "") -> Finding:
    """Return a problem of `PROBLEMS`.

    Args:
        part: where it is.
        name: its name there.
        detail: what exactly was found.
    """
    level, remedy = PROBLEMS[name]
    return Finding(part, level, f"{name}: {detail}" if detail else name, remedy)
