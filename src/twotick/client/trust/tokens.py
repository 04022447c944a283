"""Store the tokens with which programs log in as a member.

The file `credentials.json` lists the logins. The tokens themselves are in the system's keyring, if it can be used
without asking the user, or else in the file, which only its owner can read.

A keyring belongs to a desktop session. Programs outside of one, such as cron jobs or programs started over ssh, cannot
open it, and must not hang because it shows a dialog that no user sees. For them the keyring does not exist: tokens that
are saved there, or with `TWOTICK_KEYRING=no`, are stored in the file, and every program of the user can read them.
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

from twotick.client.address import ServerAddress, parse_server
from twotick.client.errors import TwotickError
from twotick.client.trust import private_files

_SERVICE = "twotick"
"""The name of the service under which the keyring stores the tokens."""

_RECOMMENDED = 1
"""The lowest priority of a backend that the keyring library recommends. Backends below it always fail, forget the
secrets, store them as plain text, or ask for a password on the terminal."""

_ROOM = 1024
"""Bytes that an entry of the file takes at most, about."""

_OTHERS = 0o077
"""The permissions that the file must not have."""

_AGAIN = "log in again (with TWOTICK_KEYRING=no to store the token in a file)"


class CredentialError(TwotickError):
    """The stored tokens cannot be read or changed. The message says why and what to do. It never contains a token."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login, without its token.

    Attributes:
        server: the server, as `host:port`.
        name: the member's name.
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
"""The content of the file. A login whose token is in the keyring is a Login, any other a Credential."""


def save(server: str, name: str, device: str, token: str) -> str:
    """Store a token. It replaces an earlier one of the same member at the same server.

    Args:
        server: the server's address, as `parse_server` accepts it.
        name: the member's name. Case does not matter (rule 4.2).
        device: the device that the token is for.
        token: the token.

    Returns:
        Where the token is stored, as a text: the keyring, or the path of the file.

    Raises:
        ValueError: `server` is not an address.
        CredentialError: the file cannot be read or written, or other users can read it.
    """
    address = parse_server(server)
    login = Login(str(address), name, device)
    keyring = _keyring()
    before = None if keyring is None else _found(keyring, login)
    in_keyring = keyring is not None and _put(keyring, _user(login), token)
    entry = login if in_keyring else Credential(login.server, name, device, token)
    try:
        _change(lambda entries: [*(each for each in entries if not _is(each, address, name)), entry])
    except CredentialError:
        if keyring is not None and before is not None:
            _put(keyring, _user(login), before)  # the file still speaks of the earlier token
        raise
    return "the keyring" if in_keyring else str(_file())


def check_room() -> None:
    """Check that the file can be written, before a token is asked for that must be kept.

    Raises:
        CredentialError: the file cannot be read or written, for example because the disk is full, or other users can
            read it.
    """
    _read()
    file = _file()
    try:
        with private_files.locked(file):
            private_files.rehearse(file, _ROOM)
    except OSError as error:
        raise CredentialError(f"cannot write {file}, where tokens are stored: {error.strerror}") from error


def find(server: str | None, name: str | None) -> Login | None:
    """Return a login, without its token. The last login, or the one that was chosen last, is the default.

    Args:
        server: the server's address, as `parse_server` accepts it; without a port, any server on that host. None for
            any server.
        name: the member's name; None for any member.

    Returns:
        The last of the logins that fit; None if there is none.

    Raises:
        ValueError: `server` is not an address.
        CredentialError: the file cannot be read, or other users can read it.
    """
    return _find(None if server is None else parse_server(server), name)


def load(server: str | None, name: str | None) -> Credential | None:
    """Return a stored token.

    Args:
        server: see `find`.
        name: see `find`.

    Returns:
        The login with its token; None if there is none.

    Raises:
        ValueError: `server` is not an address.
        CredentialError: the file cannot be read, or other users can read it; or the token is in the keyring, and the
            keyring cannot be used here or does not have the token any more.
    """
    found = _find(None if server is None else parse_server(server), name)
    if found is None or isinstance(found, Credential):
        return found
    token = _get(_reachable(found), found)
    if token is None:
        raise CredentialError(f"the keyring no longer has the token of {_user(found)}: {_AGAIN}")
    return Credential(found.server, found.name, found.device, token)


def forget(server: str, name: str) -> bool:
    """Delete a stored token. Copies of it keep working until the device is revoked at the server.

    Args:
        server: the server's address, as `parse_server` accepts it.
        name: the member's name.

    Returns:
        Whether there was one.

    Raises:
        ValueError: `server` is not an address.
        CredentialError: the file cannot be read or written, or other users can read it; or the token is in the keyring,
            and the keyring cannot be used here. Nothing was deleted.
    """
    address = parse_server(server)
    found = [each for each in _read() if _is(each, address, name)]
    for login in found:
        if not isinstance(login, Credential):
            _delete(_reachable(login), login)
    if found:
        _change(lambda entries: [each for each in entries if not _is(each, address, name)])
    return bool(found)


def choose(login: Login) -> None:
    """Make a login the default.

    Args:
        login: a login that `find` or `logins` has returned.

    Raises:
        CredentialError: the file cannot be read or written, or other users can read it.
    """

    def chosen(entries: _Entries) -> _Entries:
        return sorted(entries, key=lambda each: (each.server, each.name) == (login.server, login.name))

    _change(chosen)


def logins() -> list[Login]:
    """Return all logins, without their tokens; the default one is the last.

    Raises:
        CredentialError: the file cannot be read, or other users can read it.
    """
    return [Login(each.server, each.name, each.device) for each in _read()]


def _is(login: Login, server: ServerAddress, name: str) -> bool:
    """Return whether a login is that of a member at a server, however the address of the server is written."""
    return login.name.lower() == name.lower() and parse_server(login.server).is_same(server)


def _find(server: ServerAddress | None, name: str | None) -> Login | Credential | None:
    """Return the last login that fits; one at exactly this server before one at another port of its host."""
    named = [each for each in reversed(_read()) if name is None or each.name.lower() == name.lower()]
    if server is None:
        return next(iter(named), None)
    exact = [each for each in named if parse_server(each.server).is_same(server)]
    loose = [each for each in named if parse_server(each.server).is_meant_by(server)]
    return next(iter(exact + loose), None)


def _user(login: Login) -> str:
    """Return the name of the user under which the keyring stores a token."""
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
                    f"other users can read or change {file}, where tokens are stored (its mode is {mode:04o}): run"
                    f" 'chmod 600 {file}', and revoke its tokens if another user may have read them"
                )
            kept: Any = json.load(opened)
        return [_entry(each) for each in kept["logins"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialError(f"cannot read {file}, where tokens are stored: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        # not "from error", because its text may contain tokens
        raise CredentialError(f"{file}, where tokens are stored, is damaged: remove it, and log in again") from None


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
        raise CredentialError(f"cannot write {file}, where tokens are stored: {error.strerror}") from error


# The keyring


class _Keyring(Protocol):
    """The part of a backend of the keyring library that is used here."""

    priority: float

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


def _keyring() -> _Keyring | None:
    """Return the keyring if it can be used without asking the user, or else None."""
    wanted = os.environ.get("TWOTICK_KEYRING") or "yes"
    if wanted not in ("yes", "no"):
        raise CredentialError(f"TWOTICK_KEYRING is '{wanted}': set it to yes or no")
    if wanted == "no" or not _in_desktop_session():
        return None
    import keyring  # not at the top: the import is slow, and few programs need it
    from keyring.backends.chainer import ChainerBackend

    backend = keyring.get_keyring()
    used = cast("list[_Keyring]", backend.backends if isinstance(backend, ChainerBackend) else [backend])
    worst = min((each.priority for each in used), default=0)
    return cast(_Keyring, backend) if worst >= _RECOMMENDED else None


def _in_desktop_session() -> bool:
    """Return whether this is a desktop session, whose keyring is unlocked or can ask the user to unlock it."""
    if "SSH_CONNECTION" in os.environ:
        return False
    if sys.platform == "darwin":
        return True
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown and os.environ.get("DBUS_SESSION_BUS_ADDRESS"))


def _reachable(login: Login) -> _Keyring:
    """Return the keyring that has the token of a login, or raise CredentialError if it cannot be used."""
    keyring = _keyring()
    if keyring is None:
        raise CredentialError(
            f"the token of {_user(login)} is in the keyring, which cannot be used here: log in again with"
            " TWOTICK_KEYRING=no to store it in a file"
        )
    return keyring


def _put(keyring: _Keyring, user: str, token: str) -> bool:
    """Store a token in the keyring, and return whether that succeeded."""
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, user, token)
    except KeyringError:
        return False
    return True


def _found(keyring: _Keyring, login: Login) -> str | None:
    """Return the token that a keyring has of a login; None if it has none, or cannot be asked."""
    try:
        return _get(keyring, login)
    except CredentialError:
        return None


def _get(keyring: _Keyring, login: Login) -> str | None:
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, _user(login))
    except KeyringError as error:
        raise CredentialError(
            f"the keyring cannot return the token of {_user(login)} ({error}): unlock it, or {_AGAIN}"
        ) from error


def _delete(keyring: _Keyring, login: Login) -> None:
    from keyring.errors import KeyringError

    if _get(keyring, login) is None:
        return
    try:
        keyring.delete_password(_SERVICE, _user(login))
    except KeyringError as error:
        raise CredentialError(
            f"the keyring cannot delete the token of {_user(login)} ({error}): unlock it, and try again"
        ) from error
