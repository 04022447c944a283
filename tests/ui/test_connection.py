"""A shell command that loses its connection says why, tries again, and says when the connection is back."""

import contextlib
import io

from tests.client.members import Proxy, chatting, until
from twotick.client import join
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.connection import connected


async def test_every_kind_of_problem_is_said_once() -> None:
    async with chatting("alice", "bob") as chat:
        proxy = Proxy(chat.port)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            async with (
                proxy.listening() as at,
                connected(Credential(at, "alice", "laptop", chat.token("alice"))) as alice,
                join("bob", chat.address, token=chat.token("bob")) as bob,
            ):
                proxy.instead = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
                proxy.cut()
                await until(lambda: "makes no sense" in said.getvalue())
                proxy.instead = b""
                await bob.send("alice", "hello")
                assert (await alice.receive()).text == "hello"
        lines = said.getvalue().splitlines()
        assert [line.endswith(": reconnecting") for line in lines] == [True, True, False]
        assert lines[2] == "twotick: connected again"
