"""What an operator can set for IRC."""

import ssl
from pathlib import Path
from typing import Any

from tests.irc.place import IrcClient, placed
from twotick.server.tls import make_certificate

SERVER = ":localhost"


def test_encryption_rooms_and_the_length_of_messages(tmp_path: Path) -> None:
    certificate, key, _ = make_certificate(tmp_path / "tls", ["localhost", "127.0.0.1"], 300)
    settings: dict[str, Any] = {
        "irc_tls_port": "0",
        "tls_certificate": str(certificate),
        "tls_key": str(key),
        "tls_port": "0",
    }
    with placed(tmp_path / "data", 2, irc_rooms="false", max_body="100", **settings) as place:
        (name, token), plain = place.next_member(), place.guest("plain")
        client = IrcClient(place.tls_port, ssl.create_default_context(cafile=str(certificate)))
        place.clients.append(client)
        client.send("CAP REQ :standard-replies", "CAP END", f"PASS {name}:{token}", f"NICK {name}", "USER u 0 * :x")
        client.until(" 422 ")
        assert client.do("JOIN #none", "PRIVMSG plain :" + "x" * 101, "PRIVMSG plain :" + "x" * 100) == [
            f"{SERVER} 403 {name} #none :No such channel",
            f"{SERVER} FAIL PRIVMSG TOO_LONG plain :A message has at most 100 bytes here",
        ]
        assert plain.until("PRIVMSG")[-1] == f":{name}!{name}@localhost PRIVMSG plain :" + "x" * 100
        # A client without encryption is told so on the port that has it.
        lost = IrcClient(place.tls_port)
        place.clients.append(lost)
        lost.send("NICK lost")
        assert lost.until("ERROR")[-1] == ("ERROR :Closing link: this port speaks TLS, and the connection is without")


def test_a_client_that_answers_no_ping_is_gone(tmp_path: Path) -> None:
    with placed(tmp_path, 0, peer_timeout="1") as place:
        client = place.client("NICK gone", "USER u 0 * :x")
        client.until(" 422 ")
        assert client.any_line() == "PING :twotick.localhost"
        assert client.any_line() == "ERROR :Closing link: Ping timeout"
        assert client.any_line() == ""
