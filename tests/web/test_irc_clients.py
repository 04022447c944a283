"""irssi and WeeChat, each on a terminal, the app on another one, and the page: they talk, and lose nothing."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from playwright.async_api import Browser

import twotick
from tests.cli.operating import Person as User
from tests.irc.place import members
from tests.tools import needed
from tests.ui.terminal import Terminal, end, terminal
from tests.web.visitors import Crowd, PageServer, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "secret99"
_LIMIT = 60.0
_IRSSI = """
servers = ({{ address = "127.0.0.1"; chatnet = "tt"; port = "{port}"; autoconnect = "yes"; }});
chatnets = {{ tt = {{ type = "IRC"; nick = "alice"; sasl_mechanism = "PLAIN"; sasl_username = "alice/irssi";
  sasl_password = "{password}"; }}; }};
settings = {{ core = {{ real_name = "Alice"; user_name = "alice"; nick = "alice"; }};
  "irc/core" = {{ cmd_queue_speed = "1msec"; cmds_max_at_once = "100"; }};
  "fe-common/core" = {{ autolog = "yes"; autolog_path = "{home}/logs/$0"; }}; }};
"""


class Client:
    """A program on a terminal, which logs each conversation to a file.

    Args:
        home: where it keeps what it has.
        command: the program and its arguments.
        logs: where the logs are, in `home`.
    """

    def __init__(self, home: Path, command: list[str], logs: str) -> None:
        self._logs = home / logs
        env = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": str(home)}
        self._child: pexpect.spawn[str] = pexpect.spawn(
            command[0], command[1:], env=env, dimensions=(24, 100), encoding="utf-8"
        )  # type: ignore[arg-type]
        self.shown = ""

    def type(self, line: str) -> None:
        self._child.send(line + "\r")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; what the program shows is read meanwhile."""
        limit = time.monotonic() + _LIMIT
        while not condition():
            assert time.monotonic() < limit, f"{what} does not come:\n{self.shown[-2000:]}\n{self.log()}"
            try:
                self.shown += self._child.read_nonblocking(65536, 0.02)
            except pexpect.TIMEOUT:
                continue

    def log(self) -> str:
        """All that it has logged."""
        return "".join(path.read_text("utf-8") for path in self._logs.rglob("*") if path.is_file())

    def has(self, *texts: str) -> None:
        """Wait until it has logged these texts, each of which comes once."""
        self.wait(lambda: all(text in self.log() for text in texts), str(texts))
        assert all(self.log().count(text) == 1 for text in texts), self.log()

    def kill(self) -> None:
        """Kill it, so that it says goodbye to no one."""
        self._child.kill(signal.SIGKILL)
        end(self._child)


def _irssi(home: Path, port: int) -> Client:
    home.mkdir(exist_ok=True)
    (home / "config").write_text(_IRSSI.format(port=port, password=PASSWORD, home=home), "utf-8")
    return Client(home, [needed("irssi", "apt-get install irssi"), f"--home={home}"], "logs")


def _weechat(home: Path, port: int) -> Client:
    server = f"/server add tt 127.0.0.1/{port} -notls -nicks=bob"
    login = f"-sasl_mechanism=plain -sasl_username=bob/weechat -sasl_password={PASSWORD}"
    commands = [
        f"{server} {login}",
        "/set irc.server.tt.capabilities *",
        "/set irc.server_default.anti_flood_prio_high 0",
        "/set irc.server_default.anti_flood_prio_low 0",
        "/set logger.file.flush_delay 0",
        "/set irc.look.server_buffer independent",
        "/connect tt",
    ]
    program = needed("weechat-curses", "apt-get install weechat-curses")
    arguments = [word for command in commands for word in ("-r", command)]
    return Client(home, [program, "-d", str(home), *arguments], "logs")


async def test_irssi_weechat_the_app_and_the_page_talk_and_lose_nothing(tmp_path: Path, browser: Browser) -> None:
    data = tmp_path / "data"
    members(data, "alice", "bob", "carol", "dave", password=PASSWORD)
    server = PageServer(data, TWOTICK_IRC_PORT="0")
    crowd = Crowd(browser, server)
    clients = [_irssi(tmp_path / "irssi", server.irc_port), _weechat(tmp_path / "weechat", server.irc_port)]
    try:
        where = f"127.0.0.1:{server.port}"
        async with twotick.join("dave", where, password=PASSWORD, device="lib") as dave:
            await dave.create_room("#team", public=True)
        async with twotick.join("carol", where, password=PASSWORD, device="lib") as carol:
            await carol.join_room("#team")
        page = await crowd.person("dave", fresh=False)
        await page.sign_in(PASSWORD)
        user = User(tmp_path / "carol", ("127.0.0.1", server.port))
        user.log_in("carol", "desk", password=PASSWORD)
        with terminal("chat", env=user.variables) as app:
            await _talk(clients, app, page)
            clients[:] = [_irssi(tmp_path / "irssi", server.irc_port), _weechat(tmp_path / "weechat", server.irc_port)]
            clients[0].has("missed-by-alice", "missed-by-team")
            clients[1].has("missed-by-bob", "missed-by-team")
        await crowd.close()
    finally:
        for client in clients:
            client.kill()
        server.kill()


async def _talk(clients: list[Client], app: Terminal, page: Person) -> None:
    irssi, weechat = clients
    irssi.wait(lambda: "logged in as" in irssi.shown and "MOTD File" in irssi.shown, "the login of irssi")
    weechat.wait(lambda: "logged in as bob" in weechat.log() and "MOTD File" in weechat.log(), "the login of WeeChat")
    for client, name in ((irssi, "alice"), (weechat, "bob")):
        client.type("/join #team")
        client.wait(lambda client=client: "End of /NAMES" in client.shown or "#team" in client.log(), name)
    app.type("\x0b")  # Ctrl+K
    app.has("Go to")
    app.type("#team\r")
    app.has("Message to #team", "bob joined")
    await page.choose("#team")
    # In the room: each is heard by all others.
    irssi.type("/msg #team from-irssi")
    weechat.has("from-irssi")
    weechat.type("/msg -server tt #team from-weechat")
    irssi.has("from-weechat")
    app.has("from-irssi", "from-weechat")
    app.type("from-app\r")
    await page.expect_message("from-app")
    await page.write("from-page")
    app.has("from-page")
    irssi.has("from-app", "from-page")
    weechat.has("from-app", "from-page")
    for text in ("from-irssi", "from-weechat"):
        await page.expect_message(text)
    # Alone, both ways.
    irssi.type("/msg bob only-for-bob")
    weechat.has("only-for-bob")
    irssi.type("/msg carol from-irssi-alone")
    app.type("/to alice\r")
    app.has("from-irssi-alone")
    app.type("from-app-alone\r")
    irssi.has("from-app-alone")
    weechat.type("/msg -server tt dave from-weechat-alone")
    await page.choose("bob")
    await page.expect_message("from-weechat-alone")
    await page.write("from-page-alone")
    weechat.has("from-page-alone")
    # Both are killed, and miss something.
    for client in clients:
        client.kill()
    app.type("missed-by-alice\r")
    app.has("missed-by-alice")
    app.type("/to #team\r")
    app.has("Message to #team")
    app.type("missed-by-team\r")
    await page.write("missed-by-bob")
    await page.expect_tick("missed-by-bob", "stored")
    await page.choose("#team")
    await page.expect_message("missed-by-team")
