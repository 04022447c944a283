"""IRC to frames and back: the gateway by which IRC clients use Twotick (docs/irc.md).

Sans-I/O: a session takes lines of its client and frames of the exchange, and leaves frames and lines. It speaks the
extended profile of docs/protocol.md, like any other client; the exchange does not know that IRC exists.

- `wire`: lines to messages and back.
- `capabilities`: what clients can ask for.
- `place`: what all connections of a server share.
- `session`: one connection, and the order in which its commands are carried out.
- `messages`, `channels`, `queries`, `history`, `registration`: what the commands do.
- `commands`: the table of all commands.
"""

from twotick.irc.commands import equip
from twotick.irc.place import IrcPlace
from twotick.irc.session import WINDOW, IrcSession

__all__ = ["WINDOW", "IrcPlace", "IrcSession", "equip"]
