"""How IRC clients log in, line by line."""

import base64
import re
from pathlib import Path

import pytest

from tests.irc.place import IrcPlace, members, placed

SERVER = ":twotick.localhost"


def plain(name: str, secret: str, authorized: str = "") -> str:
    return "AUTHENTICATE " + base64.b64encode(f"{authorized}\0{name}\0{secret}".encode()).decode()


def starts(lines: list[str]) -> list[str]:
    """The commands and numerics of lines."""
    return [line.removeprefix(SERVER + " ").split(" ")[0] for line in lines]


def test_a_client_logs_in_with_sasl_and_its_nick_becomes_its_name(place: IrcPlace) -> None:
    name, token = place.next_member()
    client = place.client()
    listed = " ".join(line.partition(" :")[2] for line in client.do("CAP LS 302")).split()
    assert listed[:4] == ["sasl=PLAIN", "cap-notify", "message-tags", "server-time"]
    assert "twotick/receipts" in listed
    assert client.do("CAP REQ :sasl batch unknown") == [f"{SERVER} CAP * NAK :sasl batch unknown"]
    assert client.do("CAP REQ :sasl message-tags") == [f"{SERVER} CAP * ACK :sasl message-tags"]
    assert client.do("NICK alice_x", "USER u 0 * :Real") == [
        f"{SERVER} 432 * alice_x :Erroneous nickname: a name is 1 to 32 letters and digits"
    ]
    client.send("NICK wanted")
    assert client.do("AUTHENTICATE PLAIN") == ["AUTHENTICATE +"]
    assert client.do(plain(name, token)) == [
        f"{SERVER} 900 wanted {name}!{name}@twotick.localhost {name} :You are now logged in as {name}",
        f"{SERVER} 903 wanted :SASL authentication successful",
    ]
    assert client.do("AUTHENTICATE PLAIN") == [f"{SERVER} 907 wanted :You are logged in as {name} already"]
    lines = client.do("CAP END")
    assert lines[0] == f"{SERVER} 001 {name} :Welcome to Twotick, {name}!{name}@twotick.localhost"
    assert starts(lines)[:5] == ["001", "002", "003", "004", "005"]
    assert starts(lines)[-1] == "422"
    support = " ".join(lines)
    for token in ("NICKLEN=32", "CASEMAPPING=ascii", "CHANNELLEN=33", "CHANTYPES=#", "UTF8ONLY", "WHOX", "MONITOR="):
        assert token in support
    assert client.do("CAP LIST") == [f"{SERVER} CAP {name} LIST :sasl cap-notify message-tags"]
    assert client.do("NICK other", f"NICK {name.upper()}") == [
        f"{SERVER} 484 {name} :Your name is {name}; it cannot change on this connection"
    ]
    assert client.do("USER u 0 * :x", "PASS x") == [f"{SERVER} 462 {name} :You may not reregister"] * 2
    client.send("QUIT :bye")
    assert (client.line(), client.line()) == ("ERROR :Closing link: Quit: bye", "")


def test_what_fails_in_sasl(place: IrcPlace) -> None:
    client = place.client()
    failed = f"{SERVER} 904 * :SASL authentication failed"
    assert client.do("AUTHENTICATE PLAIN") == [failed + ": ask for the capability sasl first"]
    client.do("CAP REQ sasl")
    assert client.do("AUTHENTICATE") == [f"{SERVER} 461 * AUTHENTICATE :Not enough parameters"]
    assert client.do("AUTHENTICATE SCRAM-SHA-256") == [
        f"{SERVER} 908 * PLAIN :are available SASL mechanisms",
        failed,
    ]
    assert client.do("AUTHENTICATE PLAIN", "AUTHENTICATE *") == [
        "AUTHENTICATE +",
        f"{SERVER} 906 * :SASL authentication aborted",
    ]
    assert client.do("AUTHENTICATE PLAIN", "AUTHENTICATE " + "A" * 401)[1:] == [
        f"{SERVER} 905 * :SASL message too long"
    ]
    assert client.do("AUTHENTICATE PLAIN", "AUTHENTICATE !!")[1:] == [failed + ": this is not PLAIN"]
    wrong = failed + ": wrong name, password or token"
    assert client.do("AUTHENTICATE PLAIN", plain("nobody", "secret"))[1:] == [wrong]
    assert client.do("AUTHENTICATE PLAIN", plain("m1", "secret", "other"))[1:] == [wrong]
    long = plain("x" * 600, "y").removeprefix("AUTHENTICATE ")
    chunks = [f"AUTHENTICATE {long[start : start + 400]}" for start in range(0, len(long), 400)]
    assert client.do("AUTHENTICATE PLAIN", *chunks)[1:] == [wrong]


def test_a_password_in_pass_or_sasl(tmp_path: Path) -> None:
    """In chunks of 400 bytes too, of which the last one is empty."""
    password = "p:" + "ä" * 60
    data = tmp_path / "data"
    members(data, "alice", password=password)
    with placed(data, 0) as place:
        for passed, user in (
            (password, "x"),
            ("alice/phone:" + password, "x"),
            (password, "alice/laptop"),
        ):
            client = place.client("PASS :" + passed, "NICK alice", f"USER {user} 0 * :x")
            assert starts(client.sync())[0] == "001"
        long = base64.b64encode(b"alice/" + b"d" * 52 + b"\0" + b"alice/" + b"d" * 53 + b"\0" + password.encode())
        chunk = long.decode()
        client = place.client("CAP REQ sasl", "NICK x", "AUTHENTICATE PLAIN")
        assert client.sync()[-1] == "AUTHENTICATE +"
        lines = client.do(
            f"AUTHENTICATE {chunk[:400]}", *([f"AUTHENTICATE {chunk[400:] or '+'}"] if len(chunk) >= 400 else [])
        )
        assert starts(lines) == ["900", "903"]
        wrong = place.client("PASS wrong", "NICK alice", "USER x 0 * :x")
        assert wrong.line() == f"{SERVER} 464 alice :Password incorrect: wrong name, password or token"
        assert wrong.line() == "ERROR :Closing link: wrong name, password or token"
        assert wrong.line() == ""


def test_a_guest_has_a_name_that_is_free(place: IrcPlace) -> None:
    name, _ = place.next_member()
    guest = place.client("NICK")
    assert guest.sync() == [f"{SERVER} 431 * :No nickname given"]
    assert guest.do("USER a b c", "USER u 0 * :Real") == [f"{SERVER} 461 * USER :Not enough parameters"]
    assert guest.do("NICK all", f"NICK {name}") == [
        f"{SERVER} 432 * all :Erroneous nickname: a name is 1 to 32 letters and digits",
        f"{SERVER} 433 * {name} :This is the name of a member: log in with SASL or PASS",
    ]
    assert guest.do("JOIN #x", "PRIVMSG x :y", "FOO") == [f"{SERVER} 451 * :You have not registered"] * 3
    assert starts(guest.do("NICK visitor"))[0] == "001"
    other = place.client("NICK Visitor", "USER u 0 * :x")
    assert other.sync() == [f"{SERVER} 433 * Visitor :Nickname is already in use"]
    assert guest.do("JOIN #x")[0].startswith(f"{SERVER} 477 visitor #x :")
    guest.send("QUIT")
    guest.until("ERROR")
    for _ in range(100):
        if starts(other.do("NICK Visitor"))[0] == "001":
            break
    else:
        pytest.fail("the name does not become free")


def test_two_clients_of_a_member_never_throw_each_other_out(place: IrcPlace) -> None:
    name, token = place.next_member()
    first, second = place.log_in(name, token), place.log_in(name, token)
    sender = place.member()
    sender.do(f"PRIVMSG {name} :one")
    for each in (first, second):
        assert [line for line in each.sync() if "PRIVMSG" in line] == [
            f":{sender.name}!{sender.name}@twotick.localhost PRIVMSG {name} :one"
        ]


def test_a_named_device_has_one_connection(place: IrcPlace) -> None:
    name, token = place.next_member()
    first = place.log_in(name, token, device="tmux")
    place.log_in(name, token, device="tmux")
    assert first.until("ERROR")[-1] == "ERROR :Closing link: the device has connected again"
    assert first.line() == ""


def test_old_and_odd_clients_are_understood(place: IrcPlace) -> None:
    """Commands in any order; line feeds alone; a capability list of the first version; PING before all."""
    name, token = place.next_member()
    client = place.client()
    client.raw(
        b"PING early\nuser u 0 * :x\n\n\r\ncap ls\nNICK %b\nPASS %b\nCAP END\n" % (name.encode(), token.encode())
    )
    lines = client.sync()
    assert lines[0] == f"{SERVER} PONG twotick.localhost :early"
    assert re.match(rf"{SERVER} CAP \* LS :sasl cap-notify", lines[1])
    assert lines[2].startswith(f"{SERVER} 001 {name} ")
