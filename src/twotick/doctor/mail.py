"""Look whether the mail server takes e-mail from this one."""

import asyncio
from collections.abc import Generator
from typing import Final

from twotick.doctor.case import Case
from twotick.doctor.findings import Finding, fine, problem
from twotick.server.digests.options import MailError, MailOptions, mail_server

_PATIENCE: Final = 15.0
"""Seconds in which the mail server lets this one log in."""


def look_at_mail(case: Case) -> Generator[Finding]:
    """Connect with the mail server and log in, if there is one; nothing is sent."""
    options = case.settings.server_options().mail
    if options is None:
        return
    from twotick.server.digests.sending import ServerFails  # which takes a while to load

    try:
        server = mail_server(options)
        asyncio.run(_log_in(options))
    except MailError:
        return  # which is told of the settings
    except (ServerFails, TimeoutError) as error:
        yield problem("mail", "the mail server cannot be used", str(error) or "it does not answer")
    else:
        yield fine("mail", f"{server.host} port {server.port} takes e-mail from {options.sender}")


async def _log_in(options: MailOptions) -> None:
    from twotick.server.digests.sending import MailConnection

    connection = MailConnection(options)
    try:
        async with asyncio.timeout(_PATIENCE):
            await connection.open()
    finally:
        connection.close()
