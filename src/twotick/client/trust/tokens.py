"""Where the tokens are kept with which programs log in as a member.

Which logins there are is in a file `credentials.json`. The tokens themselves are in the system's keyring if there is
one that can be used without asking anybody anything, else in the file, which only its owner may read.

A keyring belongs to a person's session on a screen. Programs without one, such as cron jobs or those started over ssh,
cannot get at it, and must not hang in front of a question that nobody sees: for them it does not exist. What is logged
in there, or anywhere with `TWOTICK_KEYRING=no`, is kept in the file, and can be used from everywhere.
"""

import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import platformdirs

from twotick.client.address import parse_server
from twotick.client.errors import TwotickError
from twotick.client.trust import private_files
from twotick.net import server_name

_SERVICE = "twotick"
"""Under which the keyring keeps our tokens."""

_RECOMMENDED = 1
"""The priority from which on the keyring library recommends a backend. Lower are those that only fail or forget, keep
secrets as plain text, or ask for a password on the terminal."""

_OTHERS = 0o077
"""Permissions that the file must not give."""

_AGAIN = "log in again, with TWOTICK_KEYRING=no if it is to be kept in a file"


class CredentialError(TwotickError):
    """What is kept cannot be read or changed; the message says why and what to do. It never contains a token."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody has logged in.

    Attributes:
        server: where, as `host:port`.
        name: the member.
        device: the device that the token is for.
    """

    server: str
    name: str
    device: str


@dataclass(frozen=True, slots=True)
class Credential(Login):
    """A login with its token.

    Attributes:
        token: the token.
    """

    token: str = field(repr=False)


_Entries = list[Login | Credential]
"""What is in the file: those whose token is in the keyring are no Credentials."""


def save(server: str, name: str, device: str, token: str) -> str:
    """Keep a token, in place of any other of the same member at the same server.

    Args:
        server: the server, as `parse_server` takes it.
        name: the member; in any case (rule 4.2).
        device: the device that the token is for.
        token: the token.

    Returns:
        Where it is now, in words.

    Raises:
        ValueError: that is no server.
        CredentialError: the file cannot be read or written, or others can read it.
    """
    login = Login(_named(server), name, device)
    keyring = _keyring()
    in_keyring = keyring is not None and _put(keyring, _user(login), token)
    entry = login if in_keyring else Credential(login.server, name, device, token)
    _change(lambda entries: [*(each for each in entries if not _is_for(each, login.server, name)), entry])
    return "the keyring" if in_keyring else str(_file())


def load(server: str, name: str | None) -> Credential | None:
    """Get what was kept.

    Args:
        server: the server, as `parse_server` takes it.
        name: the member; None for whoever logged in last there.

    Returns:
        The login with its token, or None if there is none.

    Raises:
        ValueError: that is no server.
        CredentialError: the file cannot be read, or others can read it; or the token is in the keyring, and that cannot
            be used from here or does not have it any more.
    """
    server = _named(server)
    found = next((each for each in reversed(_read()) if _is_for(each, server, name)), None)
    if found is None or isinstance(found, Credential):
        return found
    token = _get(_reachable(found), found)
    if token is None:
        raise CredentialError(f"the keyring no longer has the token of {_user(found)}: {_AGAIN}")
    return Credential(found.server, found.name, found.device, token)


def forget(server: str, name: str) -> bool:
    """Forget a token. It still works for whoever else may have it, until it is revoked at the server.

    Args:
        server: the server, as `parse_server` takes it.
        name: the member.

    Returns:
        Whether there was one.

    Raises:
        ValueError: that is no server.
        CredentialError: the file cannot be read or written, or others can read it; or the token is in the keyring, and
            that cannot be used from here. Then nothing is forgotten.
    """
    server = _named(server)
    found = [each for each in _read() if _is_for(each, server, name)]
    for login in found:
        if not isinstance(login, Credential):
            _delete(_reachable(login), login)
    if found:
        _change(lambda entries: [each for each in entries if not _is_for(each, server, name)])
    return bool(found)


def listed() -> list[Login]:
    """Give all logins, the oldest first, without their tokens.

    Raises:
        CredentialError: the file cannot be read, or others can read it.
    """
    return [Login(each.server, each.name, each.device) for each in _read()]


def _named(server: str) -> str:
    return server_name(*parse_server(server))


def _is_for(login: Login, server: str, name: str | None) -> bool:
    return login.server == server and (name is None or login.name.lower() == name.lower())


def _user(login: Login) -> str:
    """For whom the keyring keeps a token."""
    return f"{login.name.lower()}@{login.server}"


# The file


def _file() -> Path:
    return platformdirs.user_config_path("twotick") / "credentials.json"


def _read() -> _Entries:
    file = _file()
    try:
        with file.open(encoding="utf-8") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & _OTHERS:
                raise CredentialError(
                    f"others may read or change {file}, where tokens are kept (its mode is {mode:04o}): run 'chmod 600"
                    f" {file}', and revoke its tokens if somebody may have read them"
                )
            kept: Any = json.load(opened)
        return [_entry(each) for each in kept["logins"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialError(f"cannot read {file}, where tokens are kept: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        # not "from error", which may have tokens in it
        raise CredentialError(f"{file}, where tokens are kept, is damaged: remove it, and log in again") from None


def _entry(kept: dict[str, Any]) -> Login | Credential:
    if not all(isinstance(value, str) for value in kept.values()):
        raise TypeError
    return Credential(**kept) if "token" in kept else Login(**kept)


def _change(change: Callable[[_Entries], _Entries]) -> None:
    file = _file()
    try:
        with private_files.locked(file):
            kept = {"logins": [asdict(each) for each in change(_read())]}
            private_files.replace(file, json.dumps(kept, indent=2) + "\n")
    except OSError as error:
        raise CredentialError(f"cannot write {file}, where tokens are kept: {error.strerror}") from error


# The keyring


class _Keyring(Protocol):
    """What we need of the library's backends."""

    priority: float

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


def _keyring() -> _Keyring | None:
    """The keyring, if there is one that can be used without asking anybody anything."""
    wanted = os.environ.get("TWOTICK_KEYRING") or "yes"
    if wanted not in ("yes", "no"):
        raise CredentialError(f"TWOTICK_KEYRING is '{wanted}': make it yes or no")
    if wanted == "no" or not _on_a_screen():
        return None
    import keyring  # not earlier: it takes a while, and few programs need it
    from keyring.backends.chainer import ChainerBackend

    backend = keyring.get_keyring()
    used = cast("list[_Keyring]", backend.backends if isinstance(backend, ChainerBackend) else [backend])
    worst = min((each.priority for each in used), default=0)
    return cast(_Keyring, backend) if worst >= _RECOMMENDED else None


def _on_a_screen() -> bool:
    """Whether this is a person's session on a screen, where a keyring is open or can ask to be opened."""
    if "SSH_CONNECTION" in os.environ:
        return False
    if sys.platform == "darwin":
        return True
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown and os.environ.get("DBUS_SESSION_BUS_ADDRESS"))


def _reachable(login: Login) -> _Keyring:
    keyring = _keyring()
    if keyring is None:
        raise CredentialError(
            f"the token of {_user(login)} is in the keyring, which cannot be used from here: log in again with"
            " TWOTICK_KEYRING=no, and it is kept in a file"
        )
    return keyring


def _put(keyring: _Keyring, user: str, token: str) -> bool:
    """Whether the keyring takes a token. If it does not, there is the file."""
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, user, token)
    except KeyringError:
        return False
    return True


def _get(keyring: _Keyring, login: Login) -> str | None:
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, _user(login))
    except KeyringError as error:
        raise CredentialError(
            f"the keyring does not give the token of {_user(login)} ({error}): unlock it, or {_AGAIN}"
        ) from error


def _delete(keyring: _Keyring, login: Login) -> None:
    from keyring.errors import KeyringError

    if _get(keyring, login) is None:
        return
    try:
        keyring.delete_password(_SERVICE, _user(login))
    except KeyringError as error:
        raise CredentialError(
            f"the keyring does not forget the token of {_user(login)} ({error}): unlock it, and try again"
        ) from error
