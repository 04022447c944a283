"""A server process for tests: `python -m tests.serving LIMITS`, where LIMITS is a ServerLimits in JSON.

It writes its port on the first line of its output.
"""

import json
import sys

from twotick.exchange import Limits
from twotick.server import ServerLimits, ServerOptions, serve


def announce(host: str, port: int, fingerprint: str | None) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    exchange = Limits(**given.pop("exchange"))
    serve(ServerOptions(port=0, limits=ServerLimits(exchange=exchange, **given)), announce)
