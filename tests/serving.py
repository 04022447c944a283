"""A server process for tests: `python -m tests.serving LIMITS OPTIONS`, each in JSON.

LIMITS is a ServerLimits, OPTIONS other ServerOptions and limits of files. It writes its port on the first line of its
output, and the URL of its web page on the next, if it has one.
"""

import json
import sys
from pathlib import Path

from twotick.exchange import Limits
from twotick.server import ServerLimits, ServerOptions, serve
from twotick.store import StoreLimits


def announce(host: str, port: int, fingerprint: str | None) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def announce_page(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given, options = map(json.loads, sys.argv[1:])
    exchange = Limits(**given.pop("exchange"))
    paths = {name: Path(options.pop(name)) for name in ("tls_certificate", "tls_key", "data") if name in options}
    kept = StoreLimits(**{name: options.pop(name) for name in ("file_bytes", "files_bytes") if name in options})
    limits = ServerLimits(exchange=exchange, **given)
    found = ServerOptions(port=0, web_port=0, limits=limits, store_limits=kept, **paths, **options)
    serve(found, announce, announce_page)
