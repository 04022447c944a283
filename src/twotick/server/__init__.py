"""The server: sockets, TLS, time limits and logins around the exchange, and its store in a thread."""

from twotick.server.digests.options import MailOptions
from twotick.server.login import SignUp
from twotick.server.options import OptionsError, PageUrl, ServerLimits, ServerOptions, page_url
from twotick.server.server import Server
from twotick.server.serving import CannotListen, serve, start_page
from twotick.server.tls import TlsError

__all__ = [
    "CannotListen",
    "MailOptions",
    "OptionsError",
    "PageUrl",
    "Server",
    "ServerLimits",
    "ServerOptions",
    "SignUp",
    "TlsError",
    "page_url",
    "serve",
    "start_page",
]
