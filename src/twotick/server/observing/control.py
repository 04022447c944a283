"""Ask the server that runs on a data folder, by the socket in that folder."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Final

from twotick.server.observing.listener import control_address

_PATIENCE: Final = 30.0
"""Seconds in which a server answers."""


class NotRunning(Exception):
    """No server runs on a data folder; the text says so, for a person to read."""


class _Connection(http.client.HTTPConnection):
    """HTTP over the socket in a data folder."""

    def __init__(self, data: Path) -> None:
        super().__init__("twotick", timeout=_PATIENCE)
        self._data = data

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        with control_address(self._data) as where:
            self.sock.connect(where)


def ask_server(data: Path, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Ask the server of a data folder.

    Returns:
        The status of HTTP, and what the server says.

    Raises:
        NotRunning: no server runs there.
        OSError: the server does not answer, or may not be asked.
    """
    connection = _Connection(data)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise NotRunning(
            f"no server runs on the data in {data}: start it, or name its folder with --data or --config"
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(0, "the server does not answer as this version does") from error
    finally:
        connection.close()
