"""The commands that ask how the server is."""

import json
from pathlib import Path

import click

from twotick.cli.common import config_option, data_option, json_option
from twotick.cli.operating import ServerData, page_of, with_data
from twotick.ui.shell.leaving import EX_DATAERR, EX_OSERR, EX_UNAVAILABLE, EX_USAGE, fail
from twotick.ui.shell.streams import complain, on_a_terminal


@click.command
@with_data
def reload(*, data: ServerData) -> None:
    """Let the running server load its settings and its certificate again.

    It says which settings have changed, and which need a restart. If one of them cannot be used, nothing changes, and
    the exit status is 65.
    """
    from twotick.server.observing.control import NotRunning, ask_server

    try:
        _, done = ask_server(data.settings.data, "POST", "/reload")
    except NotRunning as error:
        fail(EX_UNAVAILABLE, str(error))
    except OSError as error:
        fail(EX_OSERR, f"the server of {data.settings.data} cannot be asked: {error.strerror or error}")
    if done["problems"]:
        fail(EX_DATAERR, *done["problems"], "nothing was changed")
    print(f"changed: {', '.join(done['changed']) or 'nothing'}")
    if done["after_restart"]:
        print(f"changes after a restart: {', '.join(done['after_restart'])}")


@click.command
@click.option("--no-open", is_flag=True, help="Only print the address.")
@with_data
def admin(*, no_open: bool, data: ServerData) -> None:
    """Open the operator's page in a browser, and print its address.

    It shows members, invitations, reports and how the server is. Members with the role operator can log in there:
    'twotick user role NAME operator' gives it. Everything on the page is also a command.
    """
    import webbrowser

    from twotick import admin as operations

    page = page_of(data.settings)
    if page is None:
        fail(EX_USAGE, "these settings say nowhere where the web page is: set web_url to its address for browsers")
    with data.opened() as store:
        operators = [each.name for each in operations.members(store) if each.operator and not each.disabled]
    url = f"{page.url}admin/"
    print(url)
    if not operators:
        complain("no member has the role operator: give it to one with 'twotick user role NAME operator'")
    elif not no_open and on_a_terminal():
        webbrowser.open(url)


@click.command
@json_option
@with_data
def status(*, as_json: bool, data: ServerData) -> None:
    """Show how the server is: connections, messages, disk or database, certificate, and warnings with what to do.

    The exit status is 0 if there is nothing to warn of, and else 65.
    """
    from twotick import admin
    from twotick.server.observing.condition import Kept, is_store_silent, standing
    from twotick.server.observing.control import NotRunning, ask_server
    from twotick.store import FindDatabaseState, ListFull, ListServers
    from twotick.ui.shell.standing import print_status

    settings = data.settings
    try:
        _, found = ask_server(settings.data, "GET", "/status")
    except NotRunning:
        found = None
    except OSError as error:
        fail(EX_OSERR, f"the server of {settings.data} cannot be asked: {error.strerror or error}")
    kept = Kept()
    if not is_store_silent(found):
        with data.opened() as store:
            database = store.ask(FindDatabaseState())
            servers = [] if database is None else store.ask(ListServers())
            kept = Kept(admin.members(store), store.ask(ListFull()), database, servers)
    state = standing(found, kept)
    if as_json:
        print(json.dumps(state))
    else:
        print_status(state)
    if state["warnings"]:
        raise SystemExit(EX_DATAERR)


@click.command
@json_option
@data_option
@config_option
def doctor(*, as_json: bool, data: Path | None, config: Path | None) -> None:
    """Look for what is wrong with a server's installation, and say what to do. It changes nothing.

    It looks at settings, data, disk, database, backups, certificate, ports, DNS name and clock, also beside a running
    server, and on a broken one. As root, it looks as the owner of the data.

    The exit status is 0 if nothing is wrong, and else 1; warnings do not count.
    """
    from twotick.doctor import Level, examine_server
    from twotick.ui.shell.standing import print_findings

    found = examine_server(config, data)
    if as_json:
        for each in found:
            print(json.dumps({"part": each.part, "level": each.level, "text": each.text, "remedy": each.remedy}))
    else:
        print_findings([(each.level, each.part, each.text, each.remedy) for each in found])
    if any(each.level is Level.WRONG for each in found):
        raise SystemExit(1)
