"""Classic receivers that count characters in Content-length instead of bytes (docs/protocol.md, rule 5.10).

A receiver that counts characters takes a FORWARD for damaged whose body has more bytes than characters, and answers it
with ERROR 103. So the server keeps the message that it has given to a receiver last, if it may need it once more.
"""

from collections import OrderedDict
from typing import Final

from twotick.exchange.connection import SETTLED, Connection, Pending

_MALFORMED: Final = 103
_LONGEST: Final = 8192
"""The longest body that is kept, in bytes. Programs that count characters read no more at once."""

_MOST: Final = 1024
"""The most messages that are kept, one for each receiver. A message that is not kept is not given once more."""


class CharacterCounts:
    """What is known of how classic receivers count."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Connection, tuple[Pending, bytes]] = OrderedDict()
        self._given_again: dict[Connection, Pending] = {}
        self._in_characters: dict[Connection, bool] = {}  # without those of which nothing is known

    def length_end(self, receiver: Connection, message: Pending, body: bytes) -> bytes:
        """Return the length in a FORWARD whose body is not ASCII, and the line feeds that end the head.

        Args:
            receiver: a classic receiver.
            message: the message that it is given.
            body: the body.
        """
        in_characters = self._in_characters.get(receiver)
        if in_characters:
            return _length_in_characters(body) or message[1].length_end
        if in_characters is None and receiver.granted == 1 and len(body) <= _LONGEST:
            self._kept[receiver] = message, body
            self._kept.move_to_end(receiver)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return message[1].length_end

    def once_more(self, receiver: Connection, message: Pending, code: int) -> tuple[bytes, bytes] | None:
        """Return the length and the body with which a message is given once more to a receiver that has refused it.

        Args:
            receiver: a classic receiver.
            message: the message.
            code: the number of the ERROR that refuses it.

        Returns:
            See above; None if the refusal counts.
        """
        if self._given_again.pop(receiver, None) == message:  # mypyc copies tuples: "is" says nothing
            self._in_characters[receiver] = False
        kept, body = self._kept.pop(receiver, (None, b""))
        if kept != message or code != _MALFORMED or (message[2] == SETTLED and message[4] is None):
            return None
        length = _length_in_characters(body)
        if length is None:
            return None
        self._in_characters[receiver] = True
        self._given_again[receiver] = message
        return length, body

    def forget(self, receiver: Connection) -> None:
        """Forget a receiver that is gone."""
        self._kept.pop(receiver, None)
        self._given_again.pop(receiver, None)
        self._in_characters.pop(receiver, None)


def _length_in_characters(body: bytes) -> bytes | None:
    """Return the length of a body in characters, with the line feeds that end a head; None if it is not UTF-8."""
    try:
        return b"%d\n\n" % len(body.decode())
    except UnicodeDecodeError:
        return None
