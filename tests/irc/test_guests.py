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
    assert ann.line() == f"{who(ben)} PART {room.name}"
    assert bob.until("PART")[-1] == f"{who(ben)} PART {room.name}"


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
