"""Hands e-mail to an SMTP server (RFC 5321), by connections that are encrypted (RFC 3207, RFC 8314)."""

import contextlib
import ssl
from typing import Final

import aiosmtplib

from twotick.server.digests.options import MailOptions, mail_server

_PATIENCE: Final = 30.0
"""Seconds in which the server answers a command."""

_LONGEST_REASON: Final = 200


class ServerFails(Exception):
    """The server takes no e-mail from this one at the moment; the text says why."""


class MailRefused(Exception):
    """The server does not take this e-mail; the text says why.

    Attributes:
        for_good: whether it says that it never will.
    """

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


class MailUncertain(Exception):
    """The server had all of an e-mail, and did not say whether it took it; the text says why."""


class MailConnection:
    """A connection with the SMTP server.

    Args:
        options: which server, and as whom.

    Attributes:
        was_given: whether the server was given an e-mail, so that it may have taken it.
    """

    def __init__(self, options: MailOptions) -> None:
        self._options = options
        self._smtp: aiosmtplib.SMTP | None = None
        self.was_given = False

    async def open(self) -> None:
        """Connect, check the certificate, and log in.

        Raises:
            ServerFails: this failed.
            MailError: the options make no sense any more.
        """
        server = mail_server(self._options)
        try:
            context = ssl.create_default_context(cafile=self._options.ca)
            self._smtp = aiosmtplib.SMTP(
                hostname=server.host,
                port=server.port,
                username=server.user or None,
                password=server.password if server.user else None,
                timeout=_PATIENCE,
                use_tls=server.encryption == "tls",
                start_tls=server.encryption == "starttls",  # True: it fails if the server does not offer it
                tls_context=context,
            )
            await self._smtp.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self.close()
            raise ServerFails(_reason(error)) from error

    async def give(self, recipient: str, content: bytes) -> None:
        """Hand an e-mail over.

        Args:
            recipient: the address that it goes to.
            content: the e-mail, with its headers.

        Raises:
            ServerFails: the server takes nothing, and has nothing of it.
            MailRefused: it does not take this one.
            MailUncertain: it has it, and did not answer.
        """
        assert self._smtp is not None
        try:
            await self._smtp.mail(self._options.sender)
            await self._smtp.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            raise MailRefused(_reason(error), for_good=error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ServerFails(_reason(error)) from error
        self.was_given = True
        try:
            await self._smtp.data(content)
        except aiosmtplib.SMTPDataError as error:
            self.was_given = False
            raise MailRefused(_reason(error), for_good=error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUncertain(_reason(error)) from error
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # it has the e-mail; the rest is courtesy
            await self._smtp.quit()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._smtp is not None:
            self._smtp.close()


def _reason(error: Exception) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        text = f"it answers {error.code} {error.message}"
    else:
        text = str(getattr(error, "message", "") or error) or type(error).__name__
    return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_REASON]
