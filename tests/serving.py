"""A server process for tests: `python -m tests.serving LIMITS`, where LIMITS is a ServerLimits in JSON.

It writes its port on the first line of its output.
"""

import json
import sys

from twotick.exchange import Limits
from twotick.server import ServerLimits, serve


def announce(host: str, port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    exchange = Limits(**given.pop("exchange"))
    serve("127.0.0.1", 0, ServerLimits(exchange=exchange, **given), announce)
