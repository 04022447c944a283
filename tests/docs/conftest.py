"""A server with members for the examples."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, Started, checked
from tests.cli.operating import Operator

EXAMPLES = Path(__file__).parents[2] / "examples"


class Server:
    """A running server with members.

    Attributes:
        address: HOST:PORT.
    """

    def __init__(self, operator: Operator, address: str) -> None:
        self.address = address
        self._operator = operator

    def token(self, name: str, device: str = "main") -> str:
        """Return a new token for a device of a member."""
        return self._operator.do("token", name, device).strip()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return an environment in which the examples and the `twotick` command find this server."""
        path = f"{Path(COMMAND).parent}:{self._operator.environment['PATH']}"
        return {**self._operator.environment, "TWOTICK_SERVER": self.address, "PATH": path, **variables}

    def run(self, example: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run an example to its end."""
        environment = self.environment(**variables)
        ended = subprocess.run(
            _command(example, arguments), env=environment, capture_output=True, text=True, check=False
        )
        return checked(ended)

    @contextmanager
    def started(self, example: str, *arguments: str, **variables: str) -> Generator[Started]:
        """Run an example until the end of the block."""
        pipe = subprocess.PIPE
        command, environment = _command(example, arguments), self.environment(**variables)
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield Started(process)
            finally:
                process.kill()


def _command(example: str, arguments: tuple[str, ...]) -> list[str]:
    interpreter = "/bin/sh" if example.endswith(".sh") else sys.executable
    return [interpreter, str(EXAMPLES / example), *arguments]


@pytest.fixture
def place(tmp_path: Path) -> Generator[Server]:
    """A server with the members alice, bob and bot, who have no messages yet."""
    operator = Operator(tmp_path / "server")
    for name in ("alice", "bob", "bot"):
        operator.add(name)
    with operator.serving() as (_, (host, port)):
        yield Server(operator, f"{host}:{port}")
