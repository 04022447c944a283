"""What clients and the public conformance tests expect of any server, line by line."""

import pytest

from tests.irc.place import IrcClient, IrcPlace

SERVER = ":twotick.localhost"
HOST = "twotick.localhost"


def who(client: IrcClient) -> str:
    return f":{client.name}!{client.name}@{HOST}"


def test_registration_needs_names(place: IrcPlace) -> None:
    client = place.client()
    missing = f"{SERVER} 461 * USER :Not enough parameters: give a user name and a real name"
    assert client.do("USER u 0 * :") == [missing]
    guest, other = place.guest("taken"), place.guest("other")
    member = place.member()
    assert other.do("NICK Taken", f"NICK {member.name}", "NICK a_b") == [
        f"{SERVER} 433 other Taken :Nickname is already in use",
        f"{SERVER} 433 other {member.name} :Nickname is already in use",
        f"{SERVER} 432 other a_b :Erroneous nickname: a name is 1 to 32 letters and digits",
    ]
    assert guest.do("PING x") == [f"{SERVER} PONG {HOST} :x"]


def test_nothing_answers_a_plain_notice(place: IrcPlace) -> None:
    plain, told = place.guest("plain"), place.guest("told", "labeled-response")
    lines = "NOTICE absentee :x", "NOTICE #none :x", "NOTICE a_b :x", "NOTICE", "NOTICE told", "NOTICE a,b,c,d,e :x"
    assert plain.do(*lines, "NOTICE told :\x01VERSION\x01") == []
    assert told.sync() == []
    assert told.do("@label=1 NOTICE absentee :x") == [
        f"@label=1 {SERVER} 401 told absentee :No such nick: absentee is not connected"
    ]


def test_commands_of_specifications_fail_as_these_say(place: IrcPlace) -> None:
    """Also for clients that have not asked for standard-replies."""
    client = place.member("draft/read-marker", "draft/chathistory", "draft/message-redaction", "draft/multiline")
    assert client.do("MARKREAD", "CHATHISTORY WHAT x * 5", "REDACT #none x.y", "BATCH +1 draft/multiline") == [
        f"{SERVER} FAIL MARKREAD NEED_MORE_PARAMS :Missing parameters",
        f"{SERVER} FAIL CHATHISTORY INVALID_PARAMS WHAT :Unknown subcommand",
        f"{SERVER} FAIL REDACT INVALID_TARGET #none :You are not on that channel, or there is no such nick",
        f"{SERVER} FAIL BATCH MULTILINE_INVALID :Name the recipient, and ask for the capability first",
    ]


def test_tags_go_along_as_they_are(place: IrcPlace) -> None:
    """Also the id of a message that this server has never seen; too many are refused."""
    alice, bob = place.member("message-tags", "echo-message"), place.member("message-tags")
    long = "x" * 1000
    alice.do(f"@+draft/reply=ct95w3;+a={long} PRIVMSG {bob.name} :hi")
    assert bob.sync() == [f"@msgid={alice.name}.ID1;+draft/reply=ct95w3;+a={long} {who(alice)} PRIVMSG {bob.name} :hi"]
    lines = alice.do(f"@+a={long};+b={long} PRIVMSG {bob.name} :hi")
    assert [line for line in lines if "TAGMSG" not in line] == [
        f"{SERVER} 417 {alice.name} :Input line was too long: at most 1024 bytes of tags go along"
    ]
    assert bob.sync() == []


def test_reasons_are_shown_once(place: IrcPlace) -> None:
    alice, bob, carol = place.member(), place.member(), place.member()
    room = f"#{alice.name}"
    for each in (alice, bob, carol):
        each.do(f"JOIN {room}")
    bob.do(f"PART {room} :so long")
    assert f"{who(bob)} PART {room} :so long" in carol.sync()
    bob.do(f"JOIN {room}", f"PART {room}")
    assert carol.sync() == [f"{who(bob)} JOIN {room}", f"{who(bob)} PART {room}"]
    bob.do(f"JOIN {room}")
    alice.sync()
    assert alice.do(f"KICK {room},{room} {bob.name},{carol.name} :enough") == [
        f"{who(alice)} KICK {room} {bob.name} :enough",
        f"{who(alice)} KICK {room} {carol.name} :enough",
    ]
    assert carol.sync()[-2:] == [
        f"{who(alice)} KICK {room} {bob.name} :enough",
        f"{who(alice)} KICK {room} {carol.name} :enough",
    ]
    assert alice.do(f"KICK {room},x a,b,c", f"KICK a,{room} x,{bob.name}") == [
        f"{SERVER} 461 {alice.name} KICK :Not enough parameters: give one channel, or one for each user",
        f"{SERVER} 403 {alice.name} a :No such channel",
        f"{SERVER} 441 {alice.name} {bob.name} {room} :They aren't on that channel",
    ]


def test_those_who_write_are_told_that_one_is_away(place: IrcPlace) -> None:
    alice, bob = place.member("away-notify"), place.member()
    bob.do("AWAY :at lunch")
    assert alice.do(f"PRIVMSG {bob.name} :hello", f"NOTICE {bob.name} :hello") == [
        f"{SERVER} 301 {alice.name} {bob.name} :at lunch"
    ]
    room = f"#{alice.name}"
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}")
    assert alice.sync() == [f"{who(bob)} JOIN {room}", f"{who(bob)} AWAY :at lunch"]
    assert alice.do(f"USERHOST {bob.name} {alice.name}") == [
        f"{SERVER} 302 {alice.name} :{bob.name}=-u@{HOST} {alice.name}=+u@{HOST}"
    ]
    bob.do("AWAY")
    assert [line for line in alice.do(f"PRIVMSG {bob.name} :hello") if " 301 " in line] == []


def test_an_invitation_says_who_and_when(place: IrcPlace) -> None:
    alice, bob = place.member(), place.member("account-tag", "server-time")
    alice.do(f"JOIN #{alice.name}", f"INVITE {bob.name} #{alice.name}")
    assert bob.sync() == [f"@time=TIME;account={alice.name} {who(alice)} INVITE {bob.name} #{alice.name}"]


def test_guests_find_guests_by_their_names(place: IrcPlace) -> None:
    """Guests have no secret of being here. Of members they see nothing, and nothing of who else is here."""
    member, ann = place.member(), place.guest("ann", "extended-monitor", "away-notify", "setname")
    assert ann.do("MONITOR + ben") == [f"{SERVER} 731 ann :ben"]
    ben = place.guest("Ben")
    assert ann.sync() == [f"{SERVER} 730 ann :Ben!ben@{HOST}"]
    assert ann.do("WHOIS ben", "WHO BEN", "WHO ben %na", "ISON ben x", f"WHOIS {member.name}", "WHO b*") == [
        f"{SERVER} 311 ann Ben u {HOST} * :Real name",
        f"{SERVER} 312 ann Ben {HOST} :Twotick",
        f"{SERVER} 318 ann ben :End of /WHOIS list",
        f"{SERVER} 352 ann * u {HOST} {HOST} Ben H :0 Real name",
        f"{SERVER} 315 ann BEN :End of WHO list",
        f"{SERVER} 354 ann Ben 0",
        f"{SERVER} 315 ann ben :End of WHO list",
        f"{SERVER} 303 ann :Ben",
        f"{SERVER} 401 ann {member.name} :No such nick, or one whose presence you may not see",
        f"{SERVER} 318 ann {member.name} :End of /WHOIS list",
        f"{SERVER} 315 ann b* :End of WHO list",
    ]
    ben.do("AWAY :afk", "SETNAME :new", "AWAY")
    assert ann.sync() == [
        f":Ben!ben@{HOST} AWAY :afk",
        f":Ben!ben@{HOST} SETNAME :new",
        f":Ben!ben@{HOST} AWAY",
    ]
    ben.close()
    assert ann.until("731")[-1] == f"{SERVER} 731 ann :Ben"
    assert ann.do("MONITOR - ben", "MONITOR + cid,dot", "MONITOR C") == [f"{SERVER} 731 ann :cid,dot"]
    for name in ("ben", "cid"):
        place.guest(name)
    assert ann.sync() == []


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ("#{}*", "123"),
        ("*-1", "1"),
        ("#{}-?", "123"),
        ("!*-1", "23"),
        ("#{}-1,#{}-2", "12"),
        (">1", "3"),
        ("<2", "12"),
        ("#" + "*a" * 200, ""),
        ("*" * 60 + "-3", "3"),
    ],
)
def test_list_takes_masks(place: IrcPlace, mask: str, found: str) -> None:
    client, other = place.member(), place.member()
    name = client.name
    client.do(*(f"JOIN #{name}-{number}" for number in (1, 2, 3)))
    other.do(f"JOIN #{name}-3")
    client.sync()
    lines = client.do("LIST " + mask.replace("{}", name))
    assert lines[0].startswith(f"{SERVER} 321 ")
    assert lines[-1].startswith(f"{SERVER} 323 ")
    assert "".join(number for number in "123" if any(f" #{name}-{number} " in line for line in lines)) == found


def test_who_takes_masks(place: IrcPlace) -> None:
    alice, bob, stranger = place.member(), place.member(), place.member()
    room = f"#{alice.name}"
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}")
    alice.sync()
    for mask in ("*", "m*", f"M*{bob.name[-1]}"):
        found = [line.split()[7] for line in alice.do(f"WHO {mask}") if " 352 " in line]
        assert bob.name in found, mask
        assert stranger.name not in found, mask
    assert alice.do(f"WHO {room.upper()}")[0].split()[3] == room


def test_lusers_counts(place: IrcPlace) -> None:
    client = place.member()

    def count(numeric: str) -> int:
        lines = [line for line in client.do("LUSERS") if line.startswith(f"{SERVER} {numeric} ")]
        return int(lines[0].split()[3]) if lines else 0

    users, unknown = count("265"), count("253")
    place.client("NICK undecided").sync()
    assert (count("265"), count("253")) == (users, unknown + 1)
    guest = place.guest("counted")
    assert count("265") == users + 1
    most = int(client.do("LUSERS")[-1].split()[4])
    guest.send("QUIT")
    guest.until("ERROR")
    assert guest.line() == ""
    assert count("265") == users
    assert int(client.do("LUSERS")[-1].split()[4]) == most


def test_a_line_that_is_none_is_refused_with_its_label(place: IrcPlace) -> None:
    client = place.member("labeled-response")
    for line, answer in (
        (b"@label=a1 PRIVMSG x :\xaa", f"@label=a1 {SERVER} FAIL PRIVMSG INVALID_UTF8 :this server takes UTF-8 only"),
        (b"@label=\xaa PRIVMSG x :y", f"{SERVER} FAIL PRIVMSG INVALID_UTF8 :this server takes UTF-8 only"),
    ):
        client.raw(line + b"\r\n")
        assert client.sync() == [answer]


def test_labels_come_back_as_they_were(place: IrcPlace) -> None:
    client = place.member("labeled-response", "batch")
    pong = f"{SERVER} PONG {HOST} :x"
    assert client.do(r"@label=a\sb\:c PING x") == [rf"@label=a\sb\:c {pong}"]
    assert client.do(f"@label={'x' * 64} PING x") == [f"@label={'x' * 64} {pong}"]
    assert client.do(f"@label={'x' * 65} PING x", "@label= PING x") == [pong] * 2


def test_an_answer_that_is_a_batch_has_the_label_itself(place: IrcPlace) -> None:
    """It is not within another one; several lines that are none are."""
    caps = "labeled-response", "batch", "echo-message", "server-time", "draft/multiline", "draft/chathistory"
    client, other = place.member(*caps), place.member()
    lines = client.do(
        f"@label=m BATCH +1 draft/multiline {other.name}",
        f"@batch=1 PRIVMSG {other.name} :one",
        f"@batch=1 PRIVMSG {other.name} :two",
        "BATCH -1",
    )
    assert lines[0].startswith("@label=m;time=TIME ")
    assert lines[0].endswith(f" draft/multiline {other.name}")
    assert len(lines) == 4
    lines = client.do(f"@label=h CHATHISTORY LATEST {other.name} * 5")
    assert lines[0].startswith(f"@label=h {SERVER} BATCH +")
    assert lines[0].endswith(f" chathistory {other.name}")
    assert client.do("@label=j JOIN #" + client.name)[0].endswith(" labeled-response")
