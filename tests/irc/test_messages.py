"""Messages of IRC clients, line by line."""

import re
import signal
from pathlib import Path

from tests.irc.place import IrcClient, IrcPlace, members
from tests.sockets import Peer
from twotick.wire import Side, Verb, frame, register

HOST = "twotick.localhost"
SERVER = f":{HOST}"
CAPS = ("message-tags", "server-time", "echo-message", "batch", "labeled-response")


def who(client: IrcClient) -> str:
    return f":{client.name}!{client.name}@twotick.localhost"


def test_a_message_is_echoed_when_the_disk_has_it(place: IrcPlace) -> None:
    alice, bob = place.member(*CAPS), place.member()
    tags = f"time=TIME;msgid={alice.name}.ID1"
    assert alice.do(f"@label=x PRIVMSG {bob.name} :hello there") == [
        f"@label=x;{tags} {who(alice)} PRIVMSG {bob.name} :hello there"
    ]
    assert bob.sync() == [f"{who(alice)} PRIVMSG {bob.name} :hello there"]
    assert bob.do(f"PRIVMSG {alice.name} :and you", f"NOTICE {alice.name} :a notice") == []
    assert alice.sync() == [
        f"@time=TIME;msgid={bob.name}.ID1 {who(bob)} PRIVMSG {alice.name} :and you",
        f"@time=TIME;msgid={bob.name}.ID2 {who(bob)} NOTICE {alice.name} :a notice",
    ]


def test_a_label_without_echo_is_acknowledged(place: IrcPlace) -> None:
    alice, bob = place.member("labeled-response", "batch"), place.member()
    assert alice.do(f"@label=x PRIVMSG {bob.name} :hello") == [f"@label=x {SERVER} ACK"]
    assert alice.do("@label=y PING a", "@label=z PONG a") == [
        f"@label=y {SERVER} PONG twotick.localhost :a",
        f"@label=z {SERVER} ACK",
    ]


def test_what_is_refused_carries_the_label(place: IrcPlace) -> None:
    alice = place.member(*CAPS, "standard-replies")
    name = alice.name
    for line, answer in (
        ("PRIVMSG", f"{SERVER} 411 {name} :No recipient given (PRIVMSG)"),
        ("PRIVMSG bob", f"{SERVER} 412 {name} :No text to send"),
        ("NOTICE bob :", f"{SERVER} 412 {name} :No text to send"),
        ("PRIVMSG nobody :x", f"{SERVER} 401 {name} nobody :No such nick: nobody is not connected"),
        ("PRIVMSG a_b :x", f"{SERVER} 401 {name} a_b :No such nick/channel"),
        ("PRIVMSG #none :x", f"{SERVER} 403 {name} #none :No such channel"),
        ("PRIVMSG #n,o :x", f"{SERVER} 403 {name} #n :No such channel"),
        ("PRIVMSG &x :x", f"{SERVER} 403 {name} &x :No such channel"),
        ("PRIVMSG a,b,c,d,e :x", f"{SERVER} 407 {name} a,b,c,d,e :Too many recipients"),
        ("PRIVMSG bob :\x01VERSION\x01", f"{SERVER} FAIL PRIVMSG CTCP_NOT_PASSED_ON bob :CTCP is not passed on here"),
        ("TAGMSG", f"{SERVER} 411 {name} :No recipient given (TAGMSG)"),
        ("FOO bar", f"{SERVER} 421 {name} FOO :Unknown command"),
    ):
        found = alice.do(f"@label=l {line}")
        assert (
            found[0 if "o :x" not in line or "," not in line else 1]
            .replace("@label=l ", "")
            .endswith(answer.removeprefix(":"))
        ), (line, found)
        assert "label=l" in found[0]


def test_no_body_ever_makes_a_second_line(place: IrcPlace) -> None:
    """Of a message by the page or a library: each line of it is a message, and control characters do nothing."""
    bob = place.member()
    native = place.native(b"sly")
    body = b"one\r\n:x QUIT\rthree\n\n\x01VERSION\x01 \x00nul \xff\n"
    native.write(b"SEND %b\nContent-length: %d\nId: i1\n\n%b" % (bob.name.encode(), len(body), body))
    source = ":sly!sly@twotick.localhost"
    assert bob.until("nul")[-4:] == [
        f"{source} PRIVMSG {bob.name} :one",
        f"{source} PRIVMSG {bob.name} ::x QUIT",
        f"{source} PRIVMSG {bob.name} :three",
        f"{source} PRIVMSG {bob.name} :VERSION nul \N{REPLACEMENT CHARACTER}",
    ]
    evil = b"X-Irc-Tags: a=b;+ok=1;+bad=1 2;+x=\xff\nX-Irc: action\nReply-to: a b\n"
    native.write(b"SEND %b\nContent-length: 4\nId: i2\n%b\ntext" % (bob.name.encode(), evil))
    assert bob.until("text")[-1] == f"{source} PRIVMSG {bob.name} :\x01ACTION text\x01"


def test_a_text_that_does_not_go_along_in_one_line_is_refused(place: IrcPlace) -> None:
    alice, bob = place.member("echo-message"), place.member()
    room = 510 - len(f":{alice.name}!{alice.name}@twotick.localhost PRIVMSG {bob.name} :")
    fits = "x" * (room - 2) + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 2
    (echo,) = alice.do(f"PRIVMSG {bob.name} :{fits}")
    assert echo.endswith(f":{fits}")
    assert bob.line() == echo
    refusal = f"{SERVER} 417 {alice.name} :Input line was too long: of a text, {room} letters go along here in one line"
    assert alice.do(f"PRIVMSG {bob.name} :{fits}x", f"PRIVMSG {bob.name},x :\x01ACTION {fits}\x01") == [refusal] * 2
    assert alice.do(f"NOTICE {bob.name} :{fits}xx") == [refusal.replace(str(room), str(room + 1))]
    assert bob.sync() == []


def test_long_bodies_are_split_and_shortened(place: IrcPlace) -> None:
    alice, bob = place.member(), place.member()
    words = "word " * 89
    alice.do(f"PRIVMSG {bob.name} :{words}end")
    lines = bob.sync()
    assert len(lines) == 1
    native = place.native(b"long")
    body = b"\n".join(b"line %d" % number for number in range(30))
    native.write(b"SEND %b\nContent-length: %d\nId: i1\n\n%b" % (bob.name.encode(), len(body), body))
    found = [line.partition(" :")[2] for line in bob.until("more lines")]
    assert found == [*(f"line {number}" for number in range(10)), "... (20 more lines)"]
    body = "ä".encode() * 600
    native.write(b"SEND %b\nContent-length: %d\nId: i2\n\n%b" % (bob.name.encode(), len(body), body))
    pieces: list[str] = []
    while len("".join(pieces)) < 600:
        line = bob.line()
        assert len(line.encode()) <= 510
        pieces += [line.partition(" :")[2]] if "PRIVMSG" in line else []
    assert "".join(pieces) == "ä" * 600


def test_several_lines_are_one_message(place: IrcPlace) -> None:
    alice, bob, plain = (
        place.member("draft/multiline", "standard-replies", *CAPS),
        place.member("draft/multiline", "batch"),
        place.member(),
    )
    found = alice.do(
        f"@label=m BATCH +1 draft/multiline {bob.name}",
        f"@batch=1 PRIVMSG {bob.name} :one",
        f"@batch=1 PRIVMSG {bob.name} :two ",
        f"@batch=1;draft/multiline-concat PRIVMSG {bob.name} :more",
        "BATCH -1",
    )
    assert found[0].startswith("@label=m")
    assert [line.partition(" :")[2].partition(" :")[2] for line in found if "PRIVMSG" in line] == [
        "one",
        "two ",
        "more",
    ]
    lines = bob.sync()
    assert lines[0].startswith(f"{who(alice)} BATCH +")
    assert [line.partition(" PRIVMSG ")[2] for line in lines[1:-1]] == [
        f"{bob.name} :one",
        f"{bob.name} :two ",
        f"{bob.name} :more",
    ]
    alice.do(
        f"BATCH +2 draft/multiline {plain.name}",
        f"@batch=2 PRIVMSG {plain.name} :a",
        f"@batch=2 PRIVMSG {plain.name} :b",
        "BATCH -2",
    )
    assert plain.sync() == [f"{who(alice)} PRIVMSG {plain.name} :{text}" for text in "ab"]
    assert (
        "MULTILINE_INVALID_TARGET"
        in alice.do(f"BATCH +3 draft/multiline {bob.name}", "@batch=3 PRIVMSG x :a", "BATCH -3")[0]
    )
    assert "INVALID" in alice.do("BATCH -9")[0] or "UNKNOWN" in alice.do("BATCH -9")[0]


def test_client_tags_replies_reactions_typing_and_redaction(place: IrcPlace) -> None:
    alice, bob = (
        place.member(*CAPS, "draft/message-redaction"),
        place.member(*CAPS, "draft/message-redaction", "standard-replies"),
    )
    room = f"#{alice.name}"
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}")
    alice.sync()
    sent = alice.do(f"@+own=a\\sb;nope=1 PRIVMSG {room} :hello")[0]
    assert sent.startswith(f"@time=TIME;msgid={alice.name}.ID1;+own=a\\sb {who(alice)}")
    assert bob.sync() == [sent]
    msgid = alice.msgid
    react = f"+draft/react=\N{THUMBS UP SIGN};+draft/reply={alice.name}.ID1"
    assert bob.do(f"@+draft/react=\N{THUMBS UP SIGN};+reply={msgid} TAGMSG {room}") == [
        f"@time=TIME;msgid={bob.name}.ID1;{react};+reply={alice.name}.ID1 {who(bob)} TAGMSG {room}"
    ]
    assert alice.sync() == [f"@time=TIME;msgid={bob.name}.ID1;{react};+reply={alice.name}.ID1 {who(bob)} TAGMSG {room}"]
    bob.do(f"@+draft/reply={msgid} PRIVMSG {room} :an answer")
    assert alice.sync() == [
        f"@time=TIME;msgid={bob.name}.ID2;+draft/reply={alice.name}.ID1;+reply={alice.name}.ID1"
        f" {who(bob)} PRIVMSG {room} :an answer"
    ]
    assert bob.do(f"REDACT {room} {msgid}", f"REDACT {room} {bob.name}.none", f"REDACT #none {msgid}", "REDACT") == [
        f"{SERVER} FAIL REDACT REDACT_FORBIDDEN {room} {alice.name}.ID1 :there is no such message of yours",
        f"{SERVER} FAIL REDACT UNKNOWN_MSGID {room} {bob.name}.none :there is no such message of yours",
        f"{SERVER} FAIL REDACT INVALID_TARGET #none :You are not on that channel, or there is no such nick",
        f"{SERVER} 461 {bob.name} REDACT :Not enough parameters",
    ]
    line = f"@time=TIME {who(alice)} REDACT {room} {alice.name}.ID1 :a mistake"
    assert alice.do(f"REDACT {room} {msgid} :a mistake") == [line]
    assert [re.sub("msgid=[^ ]*", "", found).replace(";", "") for found in bob.sync()] == [line]
    bob.send(f"@+typing=active TAGMSG {room}")
    assert alice.until("typing")[-1] == f"@+typing=active {who(bob)} TAGMSG {room}"


def test_a_message_from_another_device_is_shown(place: IrcPlace) -> None:
    name, token = place.next_member()
    one, two = place.log_in(name, token, *CAPS), place.log_in(name, token, "znc.in/self-message")
    plain, bob = place.log_in(name, token), place.member()
    echo = one.do(f"PRIVMSG {bob.name} :from one")
    assert echo == [f"@time=TIME;msgid={name}.ID1 {who(one)} PRIVMSG {bob.name} :from one"]
    assert two.sync() == [f"{who(one)} PRIVMSG {bob.name} :from one"]
    assert plain.sync() == []


def test_ticks_are_tags_and_notices(place: IrcPlace) -> None:
    alice, bob = place.member(*CAPS, "twotick/notices"), place.member()
    alice.do(f"PRIVMSG {bob.name} :hello")
    bob.acknowledge()
    assert alice.until("NOTICE")[-2:] == [
        f"@+twotick/state=delivered;+reply={alice.name}.ID1 {who(bob)} TAGMSG {alice.name}",
        f"{SERVER} NOTICE {alice.name} :{bob.name} has received your message {alice.name}.ID1",
    ]


def test_guests_talk(place: IrcPlace) -> None:
    ann, ben, carl = place.guest("ann", *CAPS), place.guest("ben"), place.member()
    ann.send("PRIVMSG ben :hello")
    echo = "@time=TIME;msgid=ann.ID1 :ann!ann@twotick.localhost PRIVMSG ben :hello"
    assert ann.sync() == [echo], "the server has passed it on; that the other one has it is told later"
    assert ben.until(" PRIVMSG ")[-1] == ":ann!ann@twotick.localhost PRIVMSG ben :hello"
    ben.acknowledge()
    assert ann.line() == f"@+twotick/state=delivered;+reply=ann.ID1 :ben!ben@{HOST} TAGMSG ann"
    ann.send("@label=a PRIVMSG ben,ann :both")
    assert sorted(line.partition(" ")[2] for line in ann.until("BATCH -") if "PRIVMSG" in line) == [
        f":ann!ann@{HOST} PRIVMSG ann :both",
        f":ann!ann@{HOST} PRIVMSG ann :both",
        f":ann!ann@{HOST} PRIVMSG ben :both",
    ]
    ben.close()
    lost = ann.until("NOTICE")[-1].partition(" NOTICE ")[2]
    assert lost == "ann :Your message ann.ID2 was not delivered: the recipient left before it had the message"
    ann.do(f"PRIVMSG {carl.name} :to a member")
    assert carl.sync() == [f":ann!ann@twotick.localhost PRIVMSG {carl.name} :to a member"]
    ann.send("PRIVMSG nobody :x")
    assert ann.until("401")[-1] == f"{SERVER} 401 ann nobody :No such nick: nobody is not connected"


def test_what_the_client_has_not_acknowledged_comes_again(place: IrcPlace) -> None:
    name, token = place.next_member()
    alice, bob = place.member(), place.log_in(name, token, device="tmux")
    alice.do(f"PRIVMSG {name} :one")
    assert bob.sync() == [f"{who(alice)} PRIVMSG {name} :one"]
    bob.close()  # it has not answered a PING
    bob = place.client(f"PASS {name}/pc/tmux:{token}", f"NICK {name}", "USER u 0 * :x")
    assert bob.until(" PRIVMSG m")[-1] == f"{who(alice)} PRIVMSG {name} :one"
    bob.acknowledge()
    alice.do(f"PRIVMSG {name} :two")
    assert bob.until(" PRIVMSG m")[-1].endswith(":two")
    bob.acknowledge()
    bob.sync()
    bob.send("QUIT")
    assert bob.until("ERROR")
    alice.do(f"PRIVMSG {name} :three")
    bob = place.client(f"PASS {name}/pc/tmux:{token}", f"NICK {name}", "USER u 0 * :x")
    assert [line for line in bob.until("three") if " PRIVMSG m" in line] == [f"{who(alice)} PRIVMSG {name} :three"]


def test_what_happens_in_a_room_needs_no_answer_to_a_ping(place: IrcPlace) -> None:
    """A client that comes back is told how the room is now, and not again what has happened there."""
    name, token = place.next_member()
    alice, bob = place.member(), place.log_in(name, token, device="tmux")
    room, carol = f"#quiet-{name}", place.member()
    alice.do(f"JOIN {room}")
    bob.do(f"JOIN {room}")
    alice.do(f"MODE {room} +o {name}", f"TOPIC {room} :new")
    for _ in range(2):  # the second time, one is asked after the same time after which the other one would be
        alice.do(f"PRIVMSG {carol.name} :hello")
        carol.acknowledge()
    assert [line.split()[1] for line in bob.everything()] == ["MODE", "TOPIC"]
    bob.close()
    bob = place.client(f"PASS {name}/pc/tmux:{token}", f"NICK {name}", "USER u 0 * :x")
    assert [line for line in bob.sync() if line.split()[1] in ("MODE", "TOPIC")] == []


def test_after_kill_9_nothing_is_lost(tmp_path: Path) -> None:
    tokens = members(tmp_path, "m1", "m2")
    place = IrcPlace(tmp_path, tokens)
    alice = place.log_in("m1", tokens[0], *CAPS)
    bob = place.log_in("m2", tokens[1], device="tmux")
    alice.do("PRIVMSG m2 :one", "PRIVMSG m2 :two")
    bob.until("one")
    bob.acknowledge()
    alice.do("PRIVMSG m2 :three")
    place.stop(signal.SIGKILL)
    place = IrcPlace(tmp_path, tokens)
    bob = place.client(f"PASS m2/pc/tmux:{tokens[1]}", "NICK m2", "USER u 0 * :x")
    assert "three" in bob.until("three")[-1]
    place.stop()


def test_read_markers_move_the_members_own_devices_alone(place: IrcPlace) -> None:
    """The sender is told only if the reader has asked for that."""
    name, token = place.next_member()
    caps = ("draft/read-marker", "server-time", "standard-replies")
    alice = place.member("message-tags")
    one, two = place.log_in(name, token, *caps), place.log_in(name, token, *caps, "twotick/receipts")
    alice.do(f"PRIVMSG {name} :hello")
    for each in (one, two):
        each.until(" PRIVMSG m")
        each.acknowledge()
    later, latest = "2120-01-01T00:00:00.000Z", "2120-01-02T00:00:00.000Z"
    assert one.do(f"MARKREAD {alice.name}", "MARKREAD", f"MARKREAD {alice.name} *", f"MARKREAD {alice.name} x=y") == [
        f"{SERVER} MARKREAD {alice.name} *",
        f"{SERVER} FAIL MARKREAD NEED_MORE_PARAMS :Missing parameters",
        f"{SERVER} FAIL MARKREAD INVALID_PARAMS {alice.name} :Give a timestamp",
        f"{SERVER} FAIL MARKREAD INVALID_PARAMS {alice.name} :Give a timestamp",
    ]
    marker = f"{SERVER} MARKREAD {alice.name} timestamp=TIME"
    assert one.do(f"MARKREAD {alice.name} timestamp={later}") == [marker]
    assert two.until("MARKREAD")[-1] == marker
    assert alice.until("delivered")
    alice.do(f"PRIVMSG {name} :more")
    two.until(":more")
    assert two.do(f"MARKREAD {alice.name} timestamp={latest}") == [marker]
    assert alice.until("state=read")[-1] == (
        f"@+twotick/state=read;+reply={alice.name}.ID2 :{name}!{name}@twotick.localhost TAGMSG {alice.name}"
    )


def test_times_are_those_of_acceptance(place: IrcPlace) -> None:
    """Also where the sender's program says when it was written: so history by time and times agree."""
    caps = ("server-time", "batch", "draft/chathistory")
    alice, bob = place.member(*caps), place.member()
    name, token = bob.name, bob.token
    odd = Peer(place.address, "127.0.0.1")
    place.clients.append(odd)
    odd.write(register(Side.DUPLEX, name.encode(), authorization=b"Bearer " + token.encode(), device=b"/odd", window=9))
    assert odd.frame()[0] == Verb.REGISTERED.value
    bob.do(f"PRIVMSG {alice.name} :one")
    for number, when in enumerate((b"2020-11-22T09:30:00.123Z", b"2096-11-22T09:30:00.123Z", b"never"), 2):
        odd.write(frame(Verb.SEND, alice.name.encode(), b"late %d" % number, id=b"m%d" % number, time=when))
        alice.until(f":late {number}")
    bob.do(f"PRIVMSG {alice.name} :five")
    alice.until(":five")
    lines = alice.exactly(f"CHATHISTORY LATEST {name} * 9")[1:-1]
    assert [line.rpartition(":")[2] for line in lines] == ["one", "late 2", "late 3", "late 4", "five"]
    times = [line.partition("time=")[2][:24] for line in lines]
    assert times == sorted(times)
    middle = alice.exactly(f"CHATHISTORY BETWEEN {name} timestamp={times[0]} timestamp={times[-1]} 9")[1:-1]
    between = [line for line, time in zip(lines, times, strict=True) if times[0] < time < times[-1]]
    assert [line.rpartition(":")[2] for line in middle] == [line.rpartition(":")[2] for line in between]
