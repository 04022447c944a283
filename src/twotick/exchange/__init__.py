"""Who is here, what waits on whom, and which answer goes where (docs/protocol.md, sections 4 to 7).

Sans-I/O: frames and a time in, bytes and wishes out.
"""

from twotick.exchange.exchange import Exchange
from twotick.exchange.limits import Limits
from twotick.exchange.session import Session
from twotick.exchange.throttle import Throttle

__all__ = ["Exchange", "Limits", "Session", "Throttle"]
