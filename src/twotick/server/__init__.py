"""Sockets around the exchange: bytes become events, effects become bytes."""

from twotick.server.login import SignUp
from twotick.server.server import Server, ServerLimits, serve

__all__ = ["Server", "ServerLimits", "SignUp", "serve"]
