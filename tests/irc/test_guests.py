"""Guests in channels, line by line (docs/protocol.md, rules 12.12 to 12.15)."""

from tests.irc.place import IrcClient, IrcPlace
from tests.sockets import Peer
from twotick.wire import Side, Verb, frame, register

SERVER = ":twotick.localhost"
LITTLE = "a guest can join and leave rooms, and list their members"
CLOSED = "the room does not let guests in any more"


def who(client: IrcClient) -> str:
    return f":{client.name}!{client.name}@twotick.localhost"


class Opened:
    """A room that lets guests in, and its owner, on IRC and with the protocol of docs/protocol.md."""

    def __init__(self, place: IrcPlace, *caps: str) -> None:
        self.alice = place.member(*caps)
        self.name = f"#g-{self.alice.name}"
        self.native = Peer(place.address, "127.0.0.1")
        place.clients.append(self.native)
        token = f"Bearer {self.alice.token}".encode()
        self.native.write(register(Side.DUPLEX, self.alice.name.encode(), authorization=token, device=b"/x"))
        self.native.frame()
        self.ask(do=b"create", access=b"public", guests=b"yes")
        self.alice.until("366")

    def ask(self, **headers: bytes) -> None:
        """Ask for something about the room, and wait for the answer."""
        self.native.write(frame(Verb.ROOM, self.name.encode(), None, b"", id=b"q", **headers))
        while self.native.frame()[0] != b"ROOM":
            pass


def test_a_guest_joins_speaks_and_parts(place: IrcPlace) -> None:
    room = Opened(place, "extended-join", "account-tag")
    alice, name = room.alice, room.name
    ann = place.guest("ann")
    assert ann.do(f"JOIN {name}") == [
        f"{who(ann)} JOIN {name}",
        f"{SERVER} 353 ann = {name} :@{alice.name} ann",
        f"{SERVER} 366 ann {name} :End of /NAMES list",
    ]
    assert alice.line() == f"{who(ann)} JOIN {name} * :Real name"
    assert ann.do(f"PRIVMSG {name} :hello") == []
    assert alice.line() == f"{who(ann)} PRIVMSG {name} :hello", "a guest has no account"
    alice.send(f"PRIVMSG {name} :welcome")
    assert ann.line() == f"{who(alice)} PRIVMSG {name} :welcome"
    assert alice.do(f"NAMES {name}")[0] == f"{SERVER} 353 {alice.name} = {name} :@{alice.name} ann"
    assert f"{SERVER} 354 {alice.name} ann 0" in alice.do(f"WHO {name} %na")
    assert ann.do(f"WHO {name} %na") == [
        f"{SERVER} 354 ann {alice.name} {alice.name}",
        f"{SERVER} 354 ann ann 0",
        f"{SERVER} 315 ann {name} :End of WHO list",
    ]
    assert ann.do(f"TOPIC {name}", f"TOPIC {name} :mine", f"MODE {name}") == [
        f"{SERVER} 331 ann {name} :No topic is set",
        f"{SERVER} 482 ann {name} :You're not channel operator: {LITTLE}",
        f"{SERVER} 324 ann {name} :+nt",
    ]
    assert f"{SERVER} 322 ann {name} 1 :" in ann.do("LIST")
    assert ann.do(f"PART {name} :bye") == [f"{who(ann)} PART {name} bye"]
    assert alice.line() == f"{who(ann)} PART {name}"
    assert ann.do(f"PRIVMSG {name} :still here?")[0].startswith(f"{SERVER} 404 ann {name} :Cannot send to channel")
    assert ann.do(f"PART {name}") == [f"{SERVER} 442 ann {name} :You're not on that channel"]
    alice.do(f"PRIVMSG {name} :gone")
    assert ann.sync() == []


def test_a_guest_sees_guests_and_members_come_and_go(place: IrcPlace) -> None:
    room = Opened(place)
    ann, ben, bob = place.guest("ann2"), place.guest("ben2"), place.member()
    ann.do(f"JOIN {room.name}")
    ben.do(f"JOIN {room.name}")
    assert ann.line() == f"{who(ben)} JOIN {room.name}"
    bob.do(f"JOIN {room.name}")
    assert ann.line() == f"{who(bob)} JOIN {room.name}"
    ben.close()
    assert ann.line() == f"{who(ben)} QUIT :Connection closed"
    assert bob.until("QUIT")[-1] == f"{who(ben)} QUIT :Connection closed"


def test_a_guest_is_kicked_and_cannot_come_back_at_once(place: IrcPlace) -> None:
    room = Opened(place)
    alice, ann = room.alice, place.guest("ann3")
    ann.do(f"JOIN {room.name}")
    alice.until("JOIN")
    assert alice.do(f"KICK {room.name} ann3 :enough") == [f"{who(alice)} KICK {room.name} ann3 :enough"]
    assert ann.line() == f"{who(alice)} KICK {room.name} ann3 :{alice.name} has put you out"
    assert alice.sync() == []
    (refused,) = ann.do(f"JOIN {room.name}")
    assert refused.startswith(f"{SERVER} 474 ann3 {room.name} :Cannot join channel: a guest from your address")


def test_rooms_that_let_no_guests_in(place: IrcPlace) -> None:
    room = Opened(place)
    alice, ann = room.alice, place.guest("ann4")
    closed = ":No such channel, or it is for members only: log in with SASL or PASS"
    ann.do(f"JOIN {room.name}")
    room.ask(do=b"change", guests=b"no")
    assert ann.line() == f":twotick.localhost KICK {room.name} ann4 :{CLOSED}"
    assert alice.until("KICK")[-1] == f":twotick.localhost KICK {room.name} ann4 :{CLOSED}"
    for name in (room.name, f"#nowhere-{alice.name}"):
        assert ann.do(f"JOIN {name}") == [f"{SERVER} 477 ann4 {name} {closed}"]
    assert ann.do(f"NAMES {room.name}") == [f"{SERVER} 366 ann4 {room.name} :End of /NAMES list"]


def test_what_guests_cannot_do_in_channels(place: IrcPlace) -> None:
    room = Opened(place)
    ann = place.guest("ann5")
    ann.do(f"JOIN {room.name}")
    for line in (f"KICK {room.name} x", f"INVITE x {room.name}"):
        (answer,) = ann.do(line)
        assert "You must be logged in for this" in answer
    (answer,) = ann.do(f"MODE {room.name} +i")
    assert answer.startswith(f"{SERVER} 482 ann5 {room.name}")


def test_names_of_rooms_that_are_none(place: IrcPlace) -> None:
    assert place.guest("ann6").do("JOIN x") == [f"{SERVER} 403 ann6 x :No such channel"]


def test_a_guest_changes_its_name(place: IrcPlace) -> None:
    room = Opened(place)
    kim, onlooker = place.guest("kim"), place.guest("onlooker")
    watcher, other = place.guest("watcher"), f"#g-{Opened(place).alice.name}"
    watcher.do("MONITOR + kim,Kim2")
    for each in (kim, onlooker):
        each.do(f"JOIN {room.name}", f"JOIN {other}")
    room.alice.sync()
    kim.sync()
    line = ":kim!kim@twotick.localhost NICK Kim2"
    assert kim.do("NICK Kim2") == [line], "one line, however many rooms there are"
    assert onlooker.sync() == [line]
    assert room.alice.sync() == [line]
    assert watcher.sync() == [f"{SERVER} 731 watcher :kim", f"{SERVER} 730 watcher :Kim2!kim2@twotick.localhost"]
    assert kim.do("NICK Kim2") == [], "it is the name"
    assert kim.do("NICK KIM2") == [":Kim2!kim2@twotick.localhost NICK KIM2"]
    assert onlooker.line() == ":Kim2!kim2@twotick.localhost NICK KIM2"
    kim.do(f"PRIVMSG {room.name} :hello", "PRIVMSG onlooker :psst")
    assert sorted(onlooker.sync()) == [
        f":KIM2!kim2@twotick.localhost PRIVMSG {room.name} :hello",
        ":KIM2!kim2@twotick.localhost PRIVMSG onlooker :psst",
    ]
    onlooker.send("PRIVMSG kim2 :here", "PRIVMSG kim :gone")
    assert kim.line() == ":onlooker!onlooker@twotick.localhost PRIVMSG KIM2 :here"
    kim.acknowledge()
    assert [line.split()[1] for line in onlooker.sync()] == ["401"]
    assert place.guest("kim").do("NICK kim2") == [f"{SERVER} 433 kim kim2 :Nickname is already in use"]
    assert kim.do(f"NICK {room.alice.name}", "NICK onlooker", "NICK a_b") == [
        f"{SERVER} 433 KIM2 {room.alice.name} :Nickname is already in use",
        f"{SERVER} 433 KIM2 onlooker :Nickname is already in use",
        f"{SERVER} 432 KIM2 a_b :Erroneous nickname: a name is 1 to 32 letters and digits",
    ]
    absent, _ = place.next_member()
    assert (
        kim.do(f"NICK {absent}")[0] == f"{SERVER} 433 KIM2 {absent} :Nickname is not available: the name is a member's"
    )
    assert [line.split()[1] for line in kim.do("NICK Kim4", "NICK Kim5", "NICK Kim6")] == ["NICK", "NICK", "438"]
    assert f"{SERVER} 353 Kim5 = {other} :@m" in kim.do(f"NAMES {other}")[0]
    kim.send(f"PART {other}")
    assert [line.split()[1] for line in onlooker.sync()] == ["NICK", "NICK", "PART"]


def test_a_guest_who_quits_is_seen_to_quit_and_remembered(place: IrcPlace) -> None:
    room = Opened(place)
    lee, onlooker = place.guest("lee"), place.guest("onlooker2")
    for each in (lee, onlooker):
        each.do(f"JOIN {room.name}")
    room.alice.sync()
    lee.sync()
    assert onlooker.do("WHOWAS lee") == [
        f"{SERVER} 406 onlooker2 lee :There was no such nickname",
        f"{SERVER} 369 onlooker2 lee :End of WHOWAS",
    ]
    lee.send("QUIT :so long")
    assert lee.until("ERROR")
    line = ":lee!lee@twotick.localhost QUIT :Quit: so long"
    assert onlooker.line() == line
    assert room.alice.sync() == [line], "and nothing else, such as a PART"
    place.guest("Lee").close()
    entry = f"{SERVER} 314 onlooker2 {{}} u twotick.localhost * :Real name".format
    end = f"{SERVER} 369 onlooker2 lee :End of WHOWAS"
    while (found := onlooker.do("WHOWAS lee")) != [entry("Lee"), entry("lee"), end]:
        assert found == [entry("lee"), end], "the server does not know yet that the connection is closed"
    assert onlooker.do("WHOWAS lee 1") == [entry("Lee"), end]
    assert onlooker.do("WHOWAS lee 0", "WHOWAS lee -1") == [entry("Lee"), entry("lee"), end] * 2
    assert [line.split()[1] for line in onlooker.do("WHOWAS *", f"WHOWAS {room.alice.name}")] == ["406", "369"] * 2
    again = place.guest("lee")
    again.do(f"JOIN {room.name}")
    assert onlooker.line() == ":lee!lee@twotick.localhost JOIN " + room.name
    again.close()
    assert onlooker.line() == ":lee!lee@twotick.localhost QUIT :Connection closed"
