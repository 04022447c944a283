"""Drive Debian's Firefox by WebDriver BiDi, as a user would: by the accessible names of what is on the screen."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

ENTER = "\ue007"
TAB = "\ue004"
_PATIENCE = 60.0


class Firefox:
    """A tab of Firefox.

    Args:
        connection: the connection to the browser.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self._tab = ""
        self.errors: list[str] = []

    async def start(self) -> None:
        """Begin a session, with what the page says on its console."""
        await self._command("session.new", capabilities={})
        self._tab = (await self._command("browsingContext.getTree"))["contexts"][0]["context"]
        await self._command("session.subscribe", events=["log.entryAdded"])

    async def _command(self, method: str, **values: object) -> Any:
        self._number += 1
        await self._connection.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            said = json.loads(await asyncio.wait_for(self._connection.recv(), _PATIENCE))
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.errors.append(str(said["params"]["text"]))
            if said.get("id") == self._number:
                assert said["type"] == "success", said
                return said["result"]

    async def open(self, url: str) -> None:
        """Open a page."""
        await self._command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def reload(self) -> None:
        """Load the page again."""
        await self._command("browsingContext.reload", context=self._tab, wait="complete")

    async def find(self, role: str, name: str) -> dict[str, Any]:
        """Wait for something on the screen, by its role and its name."""
        locator = {"type": "accessibility", "value": {"role": role, "name": name}}
        async with asyncio.timeout(_PATIENCE):
            while True:
                found = await self._command("browsingContext.locateNodes", context=self._tab, locator=locator)
                if found["nodes"]:
                    return {"sharedId": found["nodes"][0]["sharedId"]}

    async def click(self, role: str, name: str) -> None:
        """Click on something."""
        node = await self.find(role, name)
        pointer: list[dict[str, Any]] = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": node}},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._act({"type": "pointer", "id": "mouse", "actions": pointer})

    async def type(self, text: str) -> None:
        """Press keys."""
        keys = [{"type": kind, "value": each} for each in text for kind in ("keyDown", "keyUp")]
        await self._act({"type": "key", "id": "keyboard", "actions": keys})

    async def _act(self, source: dict[str, Any]) -> None:
        await self._command("input.performActions", context=self._tab, actions=[source])

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true in the page."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                target = {"context": self._tab, "sandbox": "tests"}
                found = await self._command(
                    "script.evaluate", expression=f"!!({expression})", target=target, awaitPromise=False
                )
                if found["type"] == "success" and found["result"]["value"]:
                    return


@contextlib.asynccontextmanager
async def firefox(program: str, folder: Path) -> AsyncGenerator[Firefox]:
    """Run Firefox without a window, and yield a tab.

    Args:
        program: its path.
        folder: an empty folder for its profile.
    """
    (folder / "user.js").write_text('user_pref("datareporting.policy.dataSubmissionEnabled", false);\n')
    options = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(folder), "about:blank"]
    process = await asyncio.create_subprocess_exec(
        program, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        found = None
        async with asyncio.timeout(_PATIENCE):
            while found is None:
                line = await process.stderr.readline()
                assert line, "Firefox has ended"
                found = re.search(rb"listening on (ws://\S+)", line)
        draining = asyncio.create_task(process.stderr.read())
        async with connect(f"{found[1].decode()}/session", max_size=None) as connection:
            tab = Firefox(connection)
            await tab.start()
            yield tab
        draining.cancel()
    finally:
        process.terminate()
        await process.wait()
