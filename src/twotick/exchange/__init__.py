"""Who is connected, which messages wait for whom, and which answer goes where (docs/protocol.md, sections 4 to 17).

Sans-I/O: the exchange takes frames and the time, and leaves bytes to write and requests for the store.
"""

from twotick.exchange.connection import Connection, MemberDevice, Stage
from twotick.exchange.endpoints import Endpoint, InvalidEndpoint, parse_endpoint
from twotick.exchange.exchange import Exchange
from twotick.exchange.far_guests import FarGuests, FarRequest
from twotick.exchange.limits import Limits
from twotick.exchange.neighbours import LEASE, Neighbours, ServerIdentity
from twotick.exchange.news import ServerNews
from twotick.exchange.pushes import PushOffer, PushQueue
from twotick.exchange.shares import Shares
from twotick.exchange.tally import Histogram, Tally

__all__ = [
    "LEASE",
    "Connection",
    "Endpoint",
    "Exchange",
    "FarGuests",
    "FarRequest",
    "Histogram",
    "InvalidEndpoint",
    "Limits",
    "MemberDevice",
    "Neighbours",
    "PushOffer",
    "PushQueue",
    "ServerIdentity",
    "ServerNews",
    "Shares",
    "Stage",
    "Tally",
    "parse_endpoint",
]
