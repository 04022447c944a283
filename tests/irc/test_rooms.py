"""Rooms as channels, line by line."""

from tests.irc.place import IrcClient, IrcPlace

SERVER = ":twotick.localhost"


def who(client: IrcClient) -> str:
    return f":{client.name}!{client.name}@twotick.localhost"


def test_a_room_from_its_beginning_to_its_end(place: IrcPlace) -> None:
    alice, bob = place.member(), place.member("extended-join", "multi-prefix")
    a, b, room = alice.name, bob.name, f"#r-{alice.name}"
    assert alice.do(f"JOIN {room}") == [
        f"{who(alice)} JOIN {room}",
        f"{SERVER} 353 {a} = {room} :@{a}",
        f"{SERVER} 366 {a} {room} :End of /NAMES list",
    ]
    assert alice.do(f"JOIN {room}") == []
    assert alice.do(f"TOPIC {room}", f"TOPIC {room} :what we do", f"TOPIC {room}") == [
        f"{SERVER} 331 {a} {room} :No topic is set",
        f"{who(alice)} TOPIC {room} :what we do",
        f"{SERVER} 332 {a} {room} :what we do",
    ]
    assert bob.do(f"JOIN {room.upper()}") == [
        f"{who(bob)} JOIN {room.upper()} {b} :Real name",
        f"{SERVER} 332 {b} {room.upper()} :what we do",
        f"{SERVER} 353 {b} = {room.upper()} :@{a} {b}",
        f"{SERVER} 366 {b} {room.upper()} :End of /NAMES list",
    ]
    assert alice.sync() == [f"{who(bob)} JOIN {room}"]
    assert alice.do(f"PRIVMSG {room} :hello") == []
    assert bob.sync() == [f"{who(alice)} PRIVMSG {room} :hello"]
    assert bob.do(f"TOPIC {room} :mine", f"KICK {room} {a}", f"MODE {room} +o {b}", f"MODE {room} +i") == [
        f"{SERVER} 482 {b} {room} :You're not channel operator: only moderators may do that",
        f"{SERVER} 482 {b} {room} :You're not channel operator: only moderators may do that",
        f"{SERVER} 482 {b} {room} :You're not channel operator: only the owner may do that",
        f"{SERVER} 482 {b} {room} :You're not channel operator: only the owner may do that",
    ]
    assert alice.do(f"MODE {room} +o {b}", f"MODE {room} -o {b}", f"MODE {room} +s") == [
        f"{who(alice)} MODE {room} +o {b}",
        f"{who(alice)} MODE {room} -o {b}",
        f"{who(alice)} MODE {room} +s",
    ]
    assert bob.sync() == [
        f"{who(alice)} MODE {room} +o {b}",
        f"{who(alice)} MODE {room} -o {b}",
        f"{who(alice)} MODE {room} +is",
    ]
    assert alice.do(f"MODE {room}", f"MODE {room} b", f"MODE {room} +b x", f"MODE {room} +k", f"MODE {room} +nt") == [
        f"{SERVER} 324 {a} {room} :+inst",
        f"{SERVER} 368 {a} {room} :End of channel ban list",
        f"{SERVER} 696 {a} {room} b * :Rooms have no bans: KICK removes members, and puts guests out for an hour",
        f"{SERVER} 696 {a} {room} k * :Rooms have no keys: +i makes a room private",
    ]
    assert alice.do(f"KICK {room} {b} :enough") == [f"{who(alice)} KICK {room} {b} :enough"]
    assert bob.sync() == [f"{who(alice)} KICK {room} {b} :enough"]
    assert alice.do(f"KICK {room} {b}") == [f"{SERVER} 441 {a} {b} {room} :They aren't on that channel"]
    assert bob.do(f"PRIVMSG {room} :x", f"PART {room}", f"NAMES {room}") == [
        f"{SERVER} 403 {b} {room} :No such channel",
        f"{SERVER} 403 {b} {room} :No such channel",
        f"{SERVER} 366 {b} {room} :End of /NAMES list",
    ]
    assert alice.do(f"INVITE {b} {room}", f"INVITE nobody {room}") == [
        f"{SERVER} 341 {a} {b} :{room}",
        f"{SERVER} 401 {a} nobody :No such nick",
    ]
    assert bob.sync() == [f"{who(alice)} INVITE {b} {room}"]
    assert bob.do(f"JOIN {room}")[0] == f"{who(bob)} JOIN {room} {b} :Real name"
    assert bob.do(f"PART {room} :so long") == [f"{who(bob)} PART {room} :so long"]
    assert alice.sync() == [f"{who(bob)} JOIN {room}", f"{who(bob)} PART {room} :so long"]
    assert alice.do(f"PART {room}") == [f"{who(alice)} PART {room}"]
    assert room not in " ".join(alice.do("LIST"))


def test_a_member_is_in_its_rooms_on_every_device(place: IrcPlace) -> None:
    name, token = place.next_member()
    first = place.log_in(name, token)
    room = f"#{name}"
    first.do(f"JOIN {room}", f"TOPIC {room} :here")
    second = place.client(f"PASS {name}:{token}", f"NICK {name}", "USER u 0 * :x")
    assert second.until("366")[-4:] == [
        f"{who(first)} JOIN {room}",
        f"{SERVER} 332 {name} {room} :here",
        f"{SERVER} 353 {name} = {room} :@{name}",
        f"{SERVER} 366 {name} {room} :End of /NAMES list",
    ]
    first.do(f"JOIN {room}2")
    assert f"{who(first)} JOIN {room}2" in second.until("366")
    first.do(f"PART {room}2")
    assert second.sync()[-1] == f"{who(first)} PART {room}2"
    assert second.do(f"PRIVMSG {room} :from two") == []
    assert first.sync() == [f"{who(first)} PRIVMSG {room} :from two"]


def test_who_and_whois_say_what_the_member_may_see(place: IrcPlace) -> None:
    alice, bob, stranger = place.member(), place.member(), place.member()
    a, b, room = alice.name, bob.name, f"#{alice.name}"
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}", "AWAY :at lunch")
    alice.sync()
    host = "twotick.localhost"
    assert alice.do(f"WHO {room}") == [
        f"{SERVER} 352 {a} {room} u {host} {host} {a} H@ :0 Real name",
        f"{SERVER} 352 {a} {room} u {host} {host} {b} G :0 Real name",
        f"{SERVER} 315 {a} {room} :End of WHO list",
    ]
    assert alice.do(f"WHO {b} %tcuhnfa,9", f"WHO {stranger.name}", "WHO") == [
        f"{SERVER} 354 {a} 9 * u {host} {b} G {b}",
        f"{SERVER} 315 {a} {b} :End of WHO list",
        f"{SERVER} 315 {a} {stranger.name} :End of WHO list",
        f"{SERVER} 315 {a} * :End of WHO list",
    ]
    assert alice.do(f"WHOIS {b}", f"WHOIS {stranger.name}", "WHOIS", "WHOWAS x") == [
        f"{SERVER} 311 {a} {b} u {host} * :Real name",
        f"{SERVER} 312 {a} {b} {host} :Twotick",
        f"{SERVER} 301 {a} {b} :at lunch",
        f"{SERVER} 330 {a} {b} {b} :is logged in as",
        f"{SERVER} 318 {a} {b} :End of /WHOIS list",
        f"{SERVER} 401 {a} {stranger.name} :No such nick, or one whose presence you may not see",
        f"{SERVER} 318 {a} {stranger.name} :End of /WHOIS list",
        f"{SERVER} 431 {a} :No nickname given",
        f"{SERVER} 406 {a} x :There was no such nickname",
        f"{SERVER} 369 {a} x :End of WHOWAS",
    ]


def test_presence_comes_as_away_and_monitor(place: IrcPlace) -> None:
    alice, bob = place.member("away-notify"), place.member()
    a, b, room = alice.name, bob.name, f"#{alice.name}"
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}")
    assert alice.do(f"MONITOR + {b},x") == [
        f"{who(bob)} JOIN {room}",
        f"{SERVER} 730 {a} :{who(bob)[1:]}",
        f"{SERVER} 731 {a} :x",
    ]
    assert bob.do("AWAY :gone fishing") == [f"{SERVER} 306 {b} :You have been marked as being away"]
    assert alice.sync() == [f"{who(bob)} AWAY :gone fishing"], "what has happened comes before the answer to a PING"
    bob.do("AWAY")
    assert alice.sync() == [f"{who(bob)} AWAY"]
    bob.do("AWAY :gone fishing")
    assert alice.sync() == [f"{who(bob)} AWAY :gone fishing"]
    bob.close()
    assert alice.until("731")[-1] == f"{SERVER} 731 {a} :{b}"
    assert alice.line() == f"{who(bob)} AWAY :not connected"
    assert alice.do("MONITOR L", "MONITOR C", "MONITOR L", "MONITOR +") == [
        f"{SERVER} 732 {a} :{b},x",
        f"{SERVER} 733 {a} :End of MONITOR list",
        f"{SERVER} 733 {a} :End of MONITOR list",
    ]


def test_history_comes_in_batches(place: IrcPlace) -> None:
    caps = ("batch", "message-tags", "server-time", "draft/chathistory", "standard-replies")
    alice, bob = place.member(*caps), place.member()
    a, b = alice.name, bob.name
    for text in ("one", "two", "three"):
        alice.do(f"PRIVMSG {b} :{text}")
    bob.do(f"PRIVMSG {a} :four")
    alice.sync()

    def asked(words: str) -> list[str]:
        lines = alice.do(f"CHATHISTORY {words}")
        assert " BATCH +" in lines[0], lines
        return [line.rpartition(":")[2] for line in lines[1:-1]]

    assert asked(f"LATEST {b} * 2") == ["three", "four"]
    assert asked(f"LATEST {b} * 50") == ["one", "two", "three", "four"]
    assert asked(f"AFTER {b} timestamp=2020-01-01T00:00:00.000Z 2") == ["one", "two"]
    assert asked(f"BEFORE {b} timestamp=2120-01-01T00:00:00.000Z 2") == ["three", "four"]
    assert asked(f"BEFORE {b} timestamp=2020-01-01T00:00:00.000Z 2") == []
    targets = alice.do("CHATHISTORY TARGETS timestamp=2020-01-01T00:00:00.000Z timestamp=2120-01-01T00:00:00.000Z 5")
    assert targets[1].endswith(f" CHATHISTORY TARGETS {b} :TIME")
    for words, code in (
        ("LATEST", "INVALID_PARAMS LATEST"),
        ("WHAT x * 5", "INVALID_PARAMS WHAT"),
        (f"LATEST {b} * many", "INVALID_PARAMS LATEST"),
        (f"BEFORE {b} msgid={a}.none 5", f"INVALID_PARAMS BEFORE msgid={a}.none"),
        (f"BEFORE {b} timestamp=never 5", "INVALID_PARAMS BEFORE timestamp=never"),
        ("LATEST #none * 5", "INVALID_TARGET LATEST #none"),
    ):
        assert alice.do(f"CHATHISTORY {words}")[0].startswith(f"{SERVER} FAIL CHATHISTORY {code} :"), words

    alice.do(f"CHATHISTORY LATEST {b} * 3", f"CHATHISTORY LATEST {b} * 50")
    first, last = alice.ids[-4], alice.ids[-1]
    assert asked(f"AROUND {b} msgid={alice.ids[-2]} 3") == ["two", "three", "four"]
    assert asked(f"BETWEEN {b} msgid={first} msgid={last} 10") == ["two", "three"]
    assert asked(f"BETWEEN {b} msgid={last} msgid={first} 1") == ["three"]
    assert asked(f"AFTER {b} msgid={first} 1") == ["two"]
    assert asked(f"BEFORE {b} msgid={last} 1") == ["three"]


def test_history_has_events_for_those_who_ask(place: IrcPlace) -> None:
    caps = ("batch", "message-tags", "draft/chathistory")
    alice, bob = place.member(*caps), place.member(*caps, "draft/event-playback")
    room = f"#{alice.name}"
    alice.do(f"JOIN {room}", f"PRIVMSG {room} :one")
    bob.do(f"JOIN {room}", f"PRIVMSG {room} :two")
    alice.do(f"TOPIC {room} :new")
    bob.until("TOPIC")

    def commands(client: IrcClient) -> list[str]:
        lines = client.do(f"CHATHISTORY LATEST {room} * 10")
        return [line.split(" ")[2] for line in lines if line.startswith("@batch=")]

    assert commands(alice) == ["PRIVMSG", "PRIVMSG"]
    assert commands(bob) == ["JOIN", "PRIVMSG", "JOIN", "PRIVMSG", "TOPIC"]


def test_strangers_learn_nothing_of_a_private_room(place: IrcPlace) -> None:
    """Neither members who are not in it nor guests, whatever they ask; and nothing they do reaches it."""
    alice, bob, guest = place.member(), place.member("draft/chathistory", "batch", "message-tags"), place.guest("eve")
    a, room = alice.name, f"#secret-{alice.name}"
    alice.do(f"JOIN {room}", f"MODE {room} +i", f"TOPIC {room} :nobody knows", f"PRIVMSG {room} :secret")
    for stranger in (bob, guest):
        name = stranger.name
        lines = stranger.do(
            "LIST",
            f"LIST {room}",
            f"WHO {room}",
            f"WHO {a}",
            f"NAMES {room}",
            f"TOPIC {room}",
            f"MODE {room}",
            f"MODE {room} +o {name}",
            f"KICK {room} {a}",
            f"INVITE {name} {room}",
            f"WHOIS {a}",
            f"ISON {a}",
            f"USERHOST {a}",
            f"MONITOR + {a}",
            f"CHATHISTORY LATEST {room} * 10",
            f"CHATHISTORY LATEST {a} * 10",
            "CHATHISTORY TARGETS timestamp=2020-01-01T00:00:00.000Z timestamp=2120-01-01T00:00:00.000Z 9",
            f"PRIVMSG {room} :let me in",
            f"REDACT {room} {alice.msgid or a + '.x'}",
            f"@+typing=active TAGMSG {room}",
            f"@+draft/react=x;+reply={a}.x TAGMSG {room}",
            f"PART {room}",
        )
        told = " ".join(lines)
        assert "secret " not in told.replace(room, "")
        assert "nobody knows" not in told
        assert f"{a}!" not in told
        assert f" 322 {name} {room} " not in told
        assert f" 353 {name} " not in told
        assert f"{SERVER} 302 {name} :" in lines
        assert f"{SERVER} 731 {name} :{a}" in lines
    assert alice.sync() == []


def test_invitations_and_names_reach_others(place: IrcPlace) -> None:
    """With invite-notify and setname; no list of names comes unasked with no-implicit-names."""
    alice, bob, carol = (
        place.member(),
        place.member("invite-notify", "setname", "draft/no-implicit-names"),
        place.member("account-tag", "extended-monitor", "away-notify"),
    )
    room = f"#{alice.name}"
    alice.do(f"JOIN {room}")
    assert bob.do(f"JOIN {room}") == [f"{who(bob)} JOIN {room}"]
    alice.do(f"INVITE {carol.name} {room}", "SETNAME :Alice Miller")
    lines = bob.until("SETNAME") + bob.sync()
    assert f"{who(alice)} INVITE {carol.name} {room}" in lines or bob.until("INVITE")
    assert f"{who(alice)} SETNAME :Alice Miller" in lines
    assert bob.do("SETNAME :Bob") == [f"{who(bob)} SETNAME :Bob"]
    assert carol.until("INVITE")[-1] == f"@account={alice.name} {who(alice)} INVITE {carol.name} {room}"
    # Without a room in common, a member whom one has written to is watched.
    carol.do(f"PRIVMSG {alice.name} :hello", f"MONITOR + {alice.name}")
    alice.do(f"PRIVMSG {carol.name} :hi")
    assert carol.until(":hi")[-1] == f"@account={alice.name} {who(alice)} PRIVMSG {carol.name} :hi"
    alice.do("AWAY :lunch")
    assert carol.until(" AWAY ")[-1] == f"{who(alice)} AWAY :lunch"
    alice.close()
    assert carol.until(" 731 ")[-1].endswith(f":{alice.name}")
    assert carol.sync() in ([], [f"{who(alice)} AWAY :not connected"])
    place.log_in(alice.name, alice.token)
    assert carol.until(" 730 ")[-1].endswith(f":{who(alice)[1:]}")
    assert carol.sync() == [], "who is online is not away"
