"""By which server e-mail is sent, and when."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from twotick.named_files import read_named
from twotick.net import is_loopback
from twotick.store import is_address

_PORTS: Final = {"smtp": 587, "smtps": 465}
_EXAMPLE: Final = "write 'smtps://user@mail.example', or 'smtp://' for a server that encrypts with STARTTLS"

_LONGEST_PASSWORD: Final = 1024


class MailError(Exception):
    """The options make no sense; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class MailOptions:
    """By which server e-mail is sent, and when.

    Attributes:
        url: the SMTP server, and the user to log in as: `smtps://USER@HOST:PORT`, or `smtp://` for STARTTLS.
        sender: the address that it comes from.
        password_file: a file with the password of that user; None if there is none, or if the URL has it.
        ca: a file with the certificates of the authorities that the server's is from; None for those of the system.
        after: the seconds that a message waits before it is told of.
        with_text: whether the beginning of the newest message of each conversation is told.
        per_hour: how many members are told in an hour at most.
    """

    url: str = field(repr=False)
    sender: str
    password_file: Path | None = None
    ca: Path | None = None
    after: float = 43200.0
    with_text: bool = False
    per_hour: int = 100


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server.

    Attributes:
        host: its name or address.
        port: its port.
        user: as whom to log in; empty for none.
        password: the password; empty for none.
        encryption: when the connection is encrypted: from the start ("tls"), by STARTTLS ("starttls"), or never ("").
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    encryption: str


def mail_server(options: MailOptions) -> MailServer:
    """Return the SMTP server of options. Errors do not repeat the URL, which may have a password.

    Raises:
        MailError: the options make no sense.
    """
    try:
        url = urlsplit(options.url)
        host, port = url.hostname or "", url.port
    except ValueError:
        url, host, port = urlsplit(""), "", None
    if url.scheme not in _PORTS or not host or url.path.strip("/") or url.query or url.fragment or port == 0:
        raise MailError(f"mail_url is no address of an SMTP server: {_EXAMPLE}")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if options.password_file is not None:
        if password:
            raise MailError("mail_url has a password, and mail_password_file names another one: leave one of them out")
        password = _password_of(options.password_file)
    if password and not user:
        raise MailError(f"there is a password for the SMTP server, and mail_url names no user: {_EXAMPLE}")
    if not (user + password).isprintable():
        raise MailError("the user or the password of the SMTP server has a control character: check mail_url")
    encryption = "tls" if url.scheme == "smtps" else "starttls"
    # The certificate of a server on the same machine is hardly ever one for `localhost`.
    if url.scheme == "smtp" and options.ca is None and (host == "localhost" or is_loopback(host)):
        encryption = ""
    return MailServer(host, port or _PORTS[url.scheme], user, password, encryption)


def _password_of(file: Path) -> str:
    try:
        password = read_named(file).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MailError(
            "the file of mail_password_file cannot be read: it is to hold the password of the SMTP server, and nothing"
            f" else ({error.strerror if isinstance(error, OSError) else 'it is no text'})"
        ) from error
    if not password or len(password) > _LONGEST_PASSWORD:
        raise MailError("the file of mail_password_file is empty or too long: it is to hold the password in one line")
    return password


def check_mail(options: MailOptions) -> None:
    """Check options.

    Raises:
        MailError: they make no sense.
    """
    if not options.url:
        raise MailError(f"mail_from or another setting of e-mail is set, and mail_url is not: {_EXAMPLE}")
    mail_server(options)
    if not options.sender:
        raise MailError("mail_url is set, and mail_from is not: set it to the address that e-mail comes from")
    if not is_address(options.sender):
        raise MailError("mail_from is no e-mail address: write it as twotick@chat.example, in plain ASCII")
    if options.ca is not None and not options.ca.is_file():
        raise MailError(f"mail_ca names the file {options.ca}, which does not exist: check the path")
