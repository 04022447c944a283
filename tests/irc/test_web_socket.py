"""IRC over WebSocket, on the port of the page."""

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.irc.place import placed

TEXT, BINARY = Subprotocol("text.ircv3.net"), Subprotocol("binary.ircv3.net")


def until(client: ClientConnection, part: str) -> str:
    while part not in (line := client.recv(30)):  # type: ignore[operator]
        assert "\n" not in str(line)
    return str(line)


def test_a_line_is_a_message(tmp_path: Path) -> None:
    with placed(tmp_path, 2, web=True) as place:
        url = place.page.replace("http", "ws") + "irc"
        (name, token), other = place.next_member(), place.member()
        with connect(url, subprotocols=[TEXT], compression=None) as client:
            assert client.subprotocol == TEXT
            client.send(f"PASS {name}:{token}")
            client.send([f"NICK {name}\r\nUSER", " u 0 * :x"])
            until(client, " 001 ")
            client.send(f"PRIVMSG {other.name} :grüße")
            assert other.until(" PRIVMSG m")[-1] == f":{name}!{name}@twotick.localhost PRIVMSG {other.name} :grüße"
            other.do(f"PRIVMSG {name} :back")
            assert until(client, "back").endswith(f"PRIVMSG {name} :back")
            client.send("QUIT")
            assert until(client, "ERROR") == "ERROR :Closing link: Quit"
            with pytest.raises(ConnectionClosed):
                client.recv(30)
            assert client.close_code == 1000
        with connect(url, subprotocols=[BINARY], compression=None) as client:
            client.send(b"PING x")
            assert client.recv(30) == b":twotick.localhost PONG twotick.localhost :x"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, compression=None)
        assert refused.value.response.status_code == 400
        with pytest.raises(InvalidStatus) as refused:
            connect(url, subprotocols=[TEXT], origin=Origin("https://evil.example"), compression=None)
        assert refused.value.response.status_code == 403
        with pytest.raises(HTTPError) as error:
            urlopen(Request(place.page + "irc"))
        assert error.value.code == 400
        error.value.close()
