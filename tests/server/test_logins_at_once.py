"""Many logins at once (docs/protocol.md, rule 10.4)."""

import base64
from collections import Counter

from tests.server.place import Place
from twotick.wire import Side, register


def log_in_at_once(place: Place, names: list[bytes], password: bytes) -> Counter[bytes]:
    """Let so many clients log in before the first is answered; return how often each answer came."""
    peers = [place.connect() for _ in names]
    for peer, name in zip(peers, names, strict=True):
        credential = b"Basic " + base64.b64encode(name + b":" + password)
        peer.write(register(Side.SENDING, name, authorization=credential))
    return Counter(peer.read(9) for peer in peers)


def test_right_logins_at_once_all_succeed(place: Place) -> None:
    """Attempts that are under way are no failures, however many there are."""
    assert log_in_at_once(place, [b"bob"] * 60, b"secret") == {b"REGISTERE": 60}


def test_wrong_logins_for_one_name_at_once_are_five(place: Place) -> None:
    assert log_in_at_once(place, [b"bob"] * 12, b"wrong") == {b"ERROR 104": 5, b"ERROR 105": 7}


def test_wrong_logins_from_one_address_at_once_are_twenty(place: Place) -> None:
    names = [b"nobody%d" % number for number in range(30)]
    assert log_in_at_once(place, names, b"wrong") == {b"ERROR 104": 20, b"ERROR 105": 10}
