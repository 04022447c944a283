"""Complete names in a shell: those that programs on this machine know. Nothing here waits for a server."""

import os
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from twotick.cli.helping import COMPLETION


def complete_users(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """Return the users whose names begin with a text."""
    return _fitting((name for name in _known(context) if not name.startswith("#")), typed)


def complete_rooms(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """Return the rooms whose names begin with a text, without the `#` if the text has none."""
    rooms = [name for name in _known(context) if name.startswith("#")]
    return _fitting(rooms if typed.startswith("#") else [name.removeprefix("#") for name in rooms], typed)


def complete_peers(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """Return the users whose names begin with a text, and the rooms whose names do, with or without their `#`."""
    names = _known(context)
    users = _fitting((name for name in names if not name.startswith("#")), typed)
    rooms = _fitting((name.removeprefix("#") for name in names if name.startswith("#")), typed.removeprefix("#"))
    return users + [CompletionItem(_quoted(f"#{each.value}", typed)) for each in rooms]


def complete_accounts(_context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """Return the accounts on this machine that begin with a text: as `NAME`, or as `NAME@HOST` if that is typed."""
    from twotick.client.trust import tokens
    from twotick.client.trust.tokens import CredentialError

    try:
        logins = tokens.logins()
    except (CredentialError, ValueError):
        return []
    names = [each.name for each in logins]
    several = {name for name in names if names.count(name) > 1}
    accounts = (f"{each.name}@{each.server}" if each.name in several or "@" in typed else each.name for each in logins)
    return _fitting(dict.fromkeys(accounts), typed)


def _fitting(names: Iterable[str], typed: str) -> list[CompletionItem[str]]:
    return [CompletionItem(name) for name in names if name.lower().startswith(typed.lower())]


def _quoted(room: str, typed: str) -> str:
    """Return the name of a room as it has to stand on the command line: bash does not quote what it completes."""
    return f"'{room}'" if os.environ[COMPLETION].startswith("bash") and not typed.startswith("#") else room


def _known(context: click.Context) -> list[str]:
    """Return the names that the programs of the member who would run the command know."""
    from twotick.client.trust import tokens
    from twotick.client.trust.tokens import CredentialError
    from twotick.settings import SettingsError, load
    from twotick.ui.known_names import folder_of, known_names

    given = context.params
    name, _, server = (given.get("me") or given.get("old_me") or "").partition("@")
    try:
        if not server:
            setting = load(given.get("config"), {"server": given.get("server")}).server or ""
            owner, at, host = setting.rpartition("@")
            name, server = name or owner, host if at else setting
        login = tokens.find(server or None, name or None)
        return [] if login is None else known_names(folder_of(login.name, login.server))
    except (CredentialError, SettingsError, ValueError, OSError):
        return []
