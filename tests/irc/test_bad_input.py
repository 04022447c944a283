"""Whatever an IRC client writes, it gets what clients expect, and others get nothing of it."""

import pytest

from tests.irc.place import IrcPlace
from twotick.irc.commands import COMMANDS

ABSURD = (
    "",
    "x",
    ":",
    ": :",
    "* * * * *",
    "a_b c_d e_f g_h i_j",
    "#none",
    "#none +i",
    "#none #none #none #none #none",
    "#" + "x" * 40,
    "0 0 0 0 0",
    "-1 +1 999999999999999999999999 x y",
    "a,b,c,d,e,f,g a,b,c,d,e,f,g :,,,",
    ",,,, ,,,, ,,,,",
    "LATEST #none * -5",
    "BETWEEN x timestamp=x msgid=y 99999999999999",
    "TARGETS timestamp=9999-12-31T23:59:59.999-23:00 timestamp=0001-01-01T00:00:00.000+23:00 5",
    "LS 99999999999999999999999",
    "REQ :" + "a" * 400,
    "+ ,,,,,",
    "\N{SNOWMAN} \N{SNOWMAN} \N{SNOWMAN} \N{SNOWMAN}",
    "m1 \x02\x03\x1f",
    " ".join("abcdefghijklmnopqrstuvwxyz"),
)


@pytest.mark.parametrize("is_member", [True, False], ids=["member", "guest"])
def test_every_command_with_absurd_parameters_is_answered(place: IrcPlace, is_member: bool) -> None:
    """The connection goes on, and an onlooker in the same rooms sees nothing that is not a line."""
    caps = ("message-tags", "standard-replies", "batch", "labeled-response", "draft/multiline", "draft/chathistory")
    client = place.member(*caps) if is_member else place.guest("absurd", *caps)
    onlooker = place.member()
    for command in COMMANDS.keys() - {b"QUIT"}:
        for words in ABSURD:
            client.send(f"{command.decode()} {words}")
        client.sync()
    assert client.do("PING well")[-1].endswith("well")
    assert onlooker.sync() == []


def test_lines_that_are_none(place: IrcPlace) -> None:
    client, onlooker = place.member("standard-replies"), place.member()
    name, to = client.name, onlooker.name.encode()
    server = ":twotick.localhost"
    bad = "INVALID_CHARACTER :a line has no NUL, and CR only at its end"
    for line, answer in (
        (b"PRIVMSG %b :a\rQUIT" % to, f"FAIL PRIVMSG {bad}"),
        (b"PRIVMSG %b :a\x00b" % to, f"FAIL PRIVMSG {bad}"),
        (b"PRIVMSG %b :\xff\xfe" % to, "FAIL PRIVMSG INVALID_UTF8 :this server takes UTF-8 only"),
        (b"\xff\xfe", "FAIL * INVALID_UTF8 :this server takes UTF-8 only"),
        (b"@a=b", "FAIL * INVALID_LINE :the line has no command"),
        (b"PRIVMSG %b :%b" % (to, b"x" * 8192), f"417 {name} :Input line was too long: "),
        (b"@a=%b PRIVMSG %b :x" % (b"y" * 8192, to), f"417 {name} :Input line was too long: "),
        (b"PRIVMSG %b :%b" % (to, b"x" * 16_000), f"417 {name} :Input line was too long: "),
        (b"@a=%b PRIVMSG %b :x" % (b"y" * 4200, to), f"417 {name} :Input line was too long: the tags are too long"),
        (b"123 x", f"421 {name} 123 :Unknown command"),
    ):
        client.raw(line + b"\r\n")
        (found,) = client.sync()
        assert found.startswith(f"{server} {answer}"), line[:60]
    assert onlooker.sync() == []


@pytest.mark.parametrize("size", [17_000, 1_000_000])
def test_a_line_without_an_end_ends_the_connection(place: IrcPlace, size: int) -> None:
    client, onlooker = place.member(), place.member()
    client.send(f"PRIVMSG {onlooker.name} :before")
    client.raw(f"PRIVMSG {onlooker.name} :".encode() + b"x" * size)
    assert client.line() == "ERROR :Closing link: a line had more than 16384 bytes"
    assert client.line() == ""
    assert [line.rpartition(":")[2] for line in onlooker.sync()] == ["before"]


def test_a_flood_is_answered_in_order_and_holds_little(place: IrcPlace) -> None:
    alice, bob = place.member("echo-message"), place.member()
    alice.raw(b"".join(b"PRIVMSG %b :%d\r\n" % (bob.name.encode(), number) for number in range(2000)))
    texts = [line.rpartition(":")[2] for line in alice.sync()]
    assert texts == [str(number) for number in range(2000)]
    found: list[str] = []
    while len(found) < 2000:
        line = bob.any_line()
        if line.startswith("PING"):
            bob.send("PONG " + line.removeprefix("PING "))
        else:
            found.append(line.rpartition(":")[2])
    assert found == texts
