"""One IRC connection: what is known about it, and the order in which its commands are carried out.

Theory of operation. A session takes lines of its client and frames of the exchange, and leaves lines for the one and
frames for the other; it does no I/O. Commands are carried out one after another. A command that needs an answer of the
exchange is a generator: it yields a frame, and goes on with the answer. Messages need not wait for each other: several
SENDs can be under way, and any other command waits until all are answered, so that a client that has the answer to a
PING has the answers to all that came before it.

What comes from the log of a member is acknowledged when the client has answered a PING that was sent after it. Until
then it comes again (docs/protocol.md, rule 11.3). What happens in rooms needs no PING: a client that comes back is told
how the rooms are now. It is acknowledged with the messages before it.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twotick.irc.answers import CATCH_UP, NEW_NAME, QUESTION, IrcAnswer, Response, SentMessage, Steps, labeled_lines
from twotick.irc.capabilities import Cap
from twotick.irc.place import IrcCommand, IrcPlace, put_last
from twotick.irc.wire import MOST_ENDURED, MOST_PENDING, TOO_LONG, BadLine, IrcMessage, parse_line, write_line
from twotick.wire import Frame, Head, Parser, Verb, frame

WINDOW: Final = 64
"""How many entries may be on their way to a client that has not answered a PING."""

_AT_ONCE: Final = 16
"""Entries after which a client is asked at once. After fewer, it is asked once between two ticks."""

_PATIENCE: Final = 2.0
"""Seconds until a command no longer waits for messages if none of them is answered."""

_FIRST_ASKED: Final = 10.0
"""Seconds until a client is asked that has never said PONG. It may be a program of a few lines that knows no PING."""

_NEEDS_NO_ANSWER: Final = frozenset([b"created", b"joined", b"left", b"appointed", b"changed"])
"""The events of which a client that connects again is told what they have led to."""

_MOST_LABEL: Final = 64
"""The bytes of a label (IRCv3, "Labeled responses")."""

_KNOWS_FAIL: Final = frozenset([b"BATCH", b"CHATHISTORY", b"MARKREAD", b"REDACT", b"SETNAME"])
"""The commands whose specification says how FAIL answers them."""

_MOST_TOLD: Final = 64
"""Of how many users it is kept that a client was just told whether they are away."""

_NO_LINE: Final = b"a line had more than %d bytes" % MOST_ENDURED
"""Why a connection ends that is none of an IRC client, or of one that has gone wrong."""

_PREFIX: Final = b"tt-"
"""How the PINGs begin that ask for acknowledgement."""


class IrcSession:
    """An IRC connection.

    Args:
        place: what it shares with others.
        address: the address of the client.

    Attributes:
        out: the lines for the client.
        frames: the frames for the exchange.
        ended: whether the connection is to be closed after `out`.
        caps: the capabilities that the client has asked for.
        nick, user, realname, password: what the client has said of itself before it was welcome.
        negotiating: whether the client has begun to ask for capabilities, and not ended it.
        sasl: what has come of a login; None if none is under way.
        name: the name as which the exchange has registered the connection; empty before.
        account: the member's name; empty for a guest.
        claimed: the member and the device that the server has chosen for it; None if the client has named one.
        welcome: whether it is registered, in the sense of IRC.
        live: whether entries of the log are shown; before, they are held.
        current: what answers the command that is carried out; None if it has no label.
        channels: the rooms that the client is in, as they are written, by their names in lower case.
        pending: the messages that are under way, by Id.
        passed: the Ids of those to guests on IRC, to whom they are passed on at once, unless they are refused at once.
        expected: the events that a command of the client has caused, each with the line that shows it.
        known: those whose lines the client has got before they came.
        multiline: the batch that the client has opened.
        recent: the time, the conversation and the number of the last entries.
        monitored: the names that the client watches.
        online: those of them, in lower case, who are online as far as the client was told.
        away: what the client has said when it went away; None while it is here.
        silent: how many rounds the client has said nothing.
        told: what others who have just joined a room have said when they went away, as the client was told.
        wanted: the REGISTER by which a guest asks for another name, on a connection to the exchange of its own.
        changes: when the guest has changed its name.
        events_told: the events of rooms that the client was told of before they come, each with the time.
    """

    __slots__ = (
        "_acknowledged",
        "_answers",
        "_asked",
        "_due",
        "_first_asked",
        "_held",
        "_is_done",
        "_is_taking",
        "_items",
        "_last_id",
        "_left",
        "_next",
        "_partial",
        "_pinged",
        "_prefix",
        "_queue",
        "_senders",
        "_skipped",
        "_steps",
        "_unanswered",
        "_written",
        "account",
        "address",
        "away",
        "caps",
        "changes",
        "channels",
        "claimed",
        "current",
        "ended",
        "events_told",
        "expected",
        "frames",
        "known",
        "live",
        "monitored",
        "multiline",
        "name",
        "negotiating",
        "nick",
        "online",
        "out",
        "passed",
        "password",
        "pending",
        "place",
        "realname",
        "recent",
        "sasl",
        "silent",
        "told",
        "user",
        "wanted",
        "welcome",
    )

    def __init__(self, place: "IrcPlace[IrcSession]", address: bytes) -> None:
        self.place = place
        place.present.add(self)
        self.address = address
        self.out: list[bytes] = []
        self.frames: list[Frame] = []
        self.ended = False
        self.caps = 0
        self.nick = self.user = self.realname = self.password = b""
        self.negotiating = False
        self.sasl: bytes | None = None
        self.name = self.account = b""
        self.claimed: tuple[bytes, bytes] | None = None
        self.welcome = False
        self.live = False
        self.current: Response | None = None
        self.channels: dict[bytes, bytes] | None = None
        self.pending: dict[bytes, SentMessage] | None = None
        self.passed: list[bytes] | None = None
        self.expected: list[tuple[tuple[bytes, ...], bytes]] | None = None
        self.known: list[tuple[bytes, ...]] | None = None
        self.multiline: Any = None
        self.recent: deque[tuple[bytes, bytes, int]] | None = None
        self.monitored: dict[bytes, bytes] | None = None
        self.online: set[bytes] | None = None
        self.away: bytes | None = None
        self.silent = 0
        self.told: dict[bytes, bytes] | None = None
        self.wanted: bytes = b""
        self.changes: list[float] | None = None
        self.events_told: dict[tuple[bytes, bytes, bytes], float] | None = None
        self._partial: bytes = b""
        self._skipped = 0  # the bytes of a line that is too long, and not at its end
        self._queue: deque[bytes | Callable[[IrcSession], Steps] | None] | None = None
        self._next: IrcMessage | None = None
        self._steps: Steps | None = None
        self._items: list[Frame] | None = None
        self._held: list[Frame] | None = None
        self._prefix = b""
        self._last_id = 0
        self._written = self._pinged = self._acknowledged = self._unanswered = 0
        self._first_asked = 0.0  # when the client is asked even if it has never said PONG
        self._asked = -1.0  # the tick in which the client was asked last
        self._left = 0  # how many messages a command waited for when it was looked at last
        self._due = 0.0  # when it waits no longer, if their number stays
        self._answers = self._is_taking = self._is_done = False
        self._senders: deque[bytes] | None = None

    # What the driver reports

    def feed(self, data: bytes) -> None:
        """Take bytes of the client; `advance` carries out the lines that are whole."""
        self.silent = 0
        if self._skipped > MOST_ENDURED:
            return
        if self._partial:
            data = self._partial + data
        lines: list[bytes | None] = [*data.split(b"\n")]
        rest = lines.pop() or b""
        if self._skipped:
            self._skipped += len(lines[0] or b"") if lines else len(rest)
            if self._skipped > MOST_ENDURED:
                lines = []
            elif lines:
                lines[0] = None
                self._skipped = 0
        if not self._skipped and len(rest) > MOST_PENDING:
            self._skipped = len(rest)
        self._partial = b"" if self._skipped else rest
        if self._skipped > MOST_ENDURED:
            lines.append(None)  # ends the connection, after the lines before it
        if lines:
            if self._queue is None:
                self._queue = deque()
            self._queue.extend(lines)

    @property
    def partial(self) -> bool:
        """Whether a line has begun that is not complete."""
        return self._partial != b"" or self._skipped > 0

    @property
    def blocked(self) -> bool:
        """Whether lines wait, so that nothing more should be read."""
        return bool(self._queue) or self._next is not None

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        size = len(self._partial)
        for line in self._queue or ():
            size += len(line) + 64 if isinstance(line, bytes) else 64
        for _, body in (*(self._held or ()), *(self._items or ())):
            size += len(body) + 512
        for sent in (self.pending or {}).values():
            size += len(sent.body) + 512
        if self.multiline is not None:
            size += self.multiline.size
        return size

    def take(self, frames: list[bytes | Frame]) -> None:
        """Take frames of the exchange, some of them as bytes."""
        self._is_taking = True
        for given in frames:
            if isinstance(given, bytes):
                for head, body in self.place.read(given):
                    self._take(head, body)
            else:
                self._take(given[0], given[1])
        self._is_taking = False
        if self._is_done:
            self._is_done = False
            self._finish()

    def _take(self, head: Head, body: bytes) -> None:
        verb = head.verb
        headers = head.headers
        if verb is Verb.FORWARD and b"history" in headers:
            if self._items is not None:
                self._items.append((head, body))
            return
        if (verb is Verb.ERROR and not self.name) or verb is Verb.REGISTERED or head.id == QUESTION:
            self._answered(head, body)
            return
        is_entry = bool(head.seq) or (verb is Verb.FORWARD and (bool(self.account) or b"to" not in headers))
        if is_entry and not self.live:
            if self._held is None:
                self._held = []
            self._held.append((head, body))
            return
        handler = self.place.handlers.get(verb)
        if handler is not None:
            handler(self, head, body)
        if is_entry:
            self._note_entry(head)

    def _answered(self, head: Head, body: bytes) -> None:
        items, self._items = self._items, None
        if self._steps is not None and items is not None:
            self._step(IrcAnswer(head, body, items))
        elif head.verb is Verb.ERROR:
            self.end(head.headers.get(b"reason", b"the server has closed the connection"))

    def go_live(self) -> None:
        """Show what comes from the log, and what was held."""
        self.live = True
        held, self._held = self._held, None
        for head, body in held or ():
            self._take(head, body)

    def drop(self) -> None:
        """Forget what was not carried out, because the connection is about to be closed."""
        self._partial = b""
        self._queue = self._next = self._held = self.multiline = None

    def ask_life(self) -> None:
        """Ask the client whether it is there."""
        self.out.append(b"PING :%b\r\n" % self.place.server)

    def tick(self) -> None:
        """Do what has waited for some seconds."""
        self.place.waiting.pop(self, None)
        if self._written > self._acknowledged and not self._pinged:
            if not self._unanswered:
                self._acknowledge(self._written)
            elif self._answers or self.place.now >= self._first_asked:
                self._ping()
        self.advance()

    def pass_on(self) -> None:
        """Take that the exchange has passed on, or refused, what it was given to pass on to guests."""
        passed, self.passed = self.passed, None
        for identifier in passed or ():
            sent = self.pending.get(identifier) if self.pending else None
            if sent is not None:
                self.place.handlers[Verb.ACCEPTED](self, sent.head, b"")

    def advance(self) -> None:
        """Carry out the commands that wait for nothing."""
        while self._steps is None and not self.ended:
            message = self._next
            if message is None:
                if not self._queue:
                    break
                item = self._queue.popleft()
                if not isinstance(item, bytes):
                    self._run_other(item)
                    continue
                message = self._parsed(item)
                if message is None:
                    continue
            command = self.place.commands.get(message.command)
            if self.pending and not (command is not None and command.passes) and self._is_early():
                self._next = message
                self._wait(self._due - self.place.now)
                break
            self._next = None
            self._run(message, command)
        self._settle()

    def _is_early(self) -> bool:
        """Return whether a command still waits for messages: as long as answers come, and for some time after."""
        left = len(self.pending or ())
        if left != self._left:
            self._left = left
            self._due = self.place.now + _PATIENCE
        return self.place.now < self._due

    def _wait(self, seconds: float) -> None:
        waiting, due = self.place.waiting, self.place.now + seconds
        if due < waiting.get(self, due + 1.0):
            waiting[self] = due

    def _settle(self) -> None:
        """Ask the client whether it has what was written."""
        if self._written > self._acknowledged and not self._pinged and not self.ended:
            if self._unanswered >= _AT_ONCE or (self._unanswered and self._answers and self._asked != self.place.now):
                self._ping()
            elif self._answers or not self._unanswered:
                self._wait(0.0)
            else:
                self._wait(self._first_asked - self.place.now)

    # Commands

    def _parsed(self, line: bytes) -> IrcMessage | None:
        try:
            return parse_line(line)
        except BadLine as error:
            if len(line) > MOST_ENDURED:
                self.end(_NO_LINE)
            else:
                self._refuse_line(error)
            return None

    def _refuse_line(self, error: BadLine) -> None:
        self.current = Response(error.label) if error.label and self.caps & Cap.LABELS else None
        if error.code == TOO_LONG:
            self.numeric(b"417", b"Input line was too long: " + str(error).encode())
        elif error.code == b"INVALID_UTF8" or self.caps & Cap.STANDARD_REPLIES:
            self.reply(write_line(self.place.server, b"FAIL", error.command, error.code, str(error).encode()))
        else:
            self.numeric(b"400", error.command, str(error).encode())
        self._finish()

    def _run_other(self, item: "Callable[[IrcSession], Steps] | None") -> None:
        self.current = None
        if item is None and self._skipped > MOST_ENDURED and not self._queue:
            self.end(_NO_LINE)
        elif item is None:
            self._refuse_line(BadLine(TOO_LONG, "it had no end"))
        else:
            self._begin(item(self))

    def _run(self, message: IrcMessage, command: "IrcCommand[IrcSession] | None") -> None:
        self.current = self.response_to(message)
        steps = None
        if command is None:
            if self.welcome:
                self.numeric(b"421", message.command, b"Unknown command")
            else:
                self.numeric(b"451", b"You have not registered")
        elif not self.welcome and not command.early:
            self.numeric(b"451", b"You have not registered")
        elif len(message.params) < command.least:
            self.numeric(b"461", message.command, b"Not enough parameters")
        elif command.members and not self.account:
            self.fail(message.command, b"ACCOUNT_REQUIRED", b"You must be logged in for this: use SASL or PASS")
        else:
            steps = command.handler(self, message)
        if steps is not None:
            self._begin(steps)
        else:
            self._finish()

    def response_to(self, message: IrcMessage) -> Response | None:
        """Return what a command with a label is answered by; None for one without, or with one that is too long."""
        label = message.tags.get(b"label", b"") if self.caps & Cap.LABELS else b""
        return Response(label) if 0 < len(label) <= _MOST_LABEL else None

    def later(self, steps: "Callable[[IrcSession], Steps]") -> None:
        """Do something that waits for answers, after the commands that have come."""
        if self._queue is None:
            self._queue = deque()
        self._queue.append(steps)

    def _begin(self, steps: Steps) -> None:
        self._steps = steps
        self._step(None)

    def _step(self, answer: IrcAnswer | None) -> None:
        steps = self._steps
        assert steps is not None
        try:
            question = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            self._steps = None
            if self._is_taking:
                self._is_done = True  # the event that it has caused may come with the answer
            else:
                self._finish()
            return
        if question == CATCH_UP:
            self.place.behind[self] = None
            return
        self._items = []
        if question != NEW_NAME:
            self.submit(question)

    def take_name(self, head: Head, body: bytes) -> None:
        """Take the answer to a REGISTER for another name."""
        self._answered(head, body)

    @property
    def at_rest(self) -> bool:
        """Whether no command waits for an answer."""
        return self._steps is None

    def begin_as(self, name: bytes) -> None:
        """Go on as a guest of another name, whose connection to the exchange is a new one."""
        self.place.rename(self, name)
        self._written = self._pinged = self._acknowledged = self._unanswered = 0
        self._senders = None

    def caught_up(self) -> None:
        """Go on with a command that has waited until the server has caught up."""
        if self._steps is not None and not self.ended:
            self._step(None)

    def _finish(self) -> None:
        if self.expected:
            self.known = [event for event, _ in self.expected]
            self.reply(*(line for _, line in self.expected))
            self.expected = None
        response, self.current = self.current, None
        if response is not None and not response.waiting:
            self.flush(response)

    # What commands write

    def flush(self, response: Response) -> None:
        """Write the lines that answer a command with a label."""
        self.out += labeled_lines(self.place.server, response, self.new_id)

    def reply(self, *lines: bytes) -> None:
        """Answer the command that is carried out."""
        (self.out if self.current is None else self.current.lines).extend(lines)

    def numeric(self, code: bytes, *params: bytes) -> None:
        """Answer with a numeric; the last parameter is its text."""
        line = b":%b %b %b" % (self.place.server, code, self.shown)
        rest = write_line(b"", b"", *params)
        self.reply(line + rest)

    def fail(self, command: bytes, code: bytes, *context_and_text: bytes) -> None:
        """Answer that a command has failed, by a standard reply, or by a notice if the client does not know those.

        Clients that use a command of IRCv3 know them: what can fail in it is in its specification.
        """
        *context, text = context_and_text
        if self.caps & Cap.STANDARD_REPLIES or command in _KNOWS_FAIL:
            self.reply(write_line(self.place.server, b"FAIL", command, code, *context, text))
        else:
            about = b" ".join([command, *context])
            self.reply(write_line(self.place.server, b"NOTICE", self.shown, b"%b: %b" % (about, text)))

    def notice(self, text: bytes) -> None:
        """Tell the client something that it has not asked for."""
        self.out.append(write_line(self.place.server, b"NOTICE", self.shown, text))

    def end(self, reason: bytes) -> None:
        """Close the connection, and say why."""
        if not self.ended:
            self.ended = True
            self.place.remove(self, reason)
            self.out.append(write_line(b"", b"ERROR", b"Closing link: " + reason))

    # Names

    @property
    def shown(self) -> bytes:
        """The nick as numerics have it."""
        return self.name if self.welcome else self.nick or b"*"

    @property
    def source(self) -> bytes:
        """What the client's own lines come from."""
        return self.source_of(self.name or self.nick or b"*")

    def note_online(self, name: bytes, *, is_online: bool) -> bool:
        """Note that the client is told whether a user whom it watches is online; return whether that is news."""
        online: set[bytes] = self.online or set()
        key = name.lower()
        if (key in online) is is_online:
            return False
        self.online = online | {key} if is_online else online - {key}
        return True

    def note_told(self, name: bytes, text: bytes) -> None:
        """Note what another user who joins has said when it went away, which the server will tell once more."""
        if self.told is None:
            self.told = {}
        put_last(self.told, name.lower(), text, _MOST_TOLD)

    def line_of_watched(self, name: bytes, *, is_online: bool) -> bytes:
        """Return the line that says that a user whom the client watches has come, or gone (IRCv3, "Monitor")."""
        code, shown = (b"730", self.source_of(name)) if is_online else (b"731", name)
        return b":%b %b %b :%b\r\n" % (self.place.server, code, self.shown, shown)

    def source_of(self, name: bytes) -> bytes:
        """Return what the lines of a user come from."""
        return self.place.source_of(name)

    def is_own(self, name: bytes) -> bool:
        """Return whether a name is the client's own."""
        return name.lower() == self.name.lower()

    def new_id(self) -> bytes:
        """Return the Id of one more message, or the name of a batch."""
        if not self._prefix:
            self._prefix = self.place.new_prefix()
        self._last_id += 1
        return b"%b-%d" % (self._prefix, self._last_id)

    # Acknowledgement (rule 11.3)

    def _note_entry(self, head: Head) -> None:
        if head.headers.get(b"event", b"") not in _NEEDS_NO_ANSWER:
            self._unanswered += 1
            if not self._first_asked:
                self._first_asked = self.place.now + _FIRST_ASKED
        if self.account:
            self._written = int(head.seq or self._written)
        else:
            self._written += 1
            if self._senders is None:
                self._senders = deque()
            self._senders.append(head.name)

    def _ping(self) -> None:
        self._pinged = self._written
        self._asked = self.place.now
        self._unanswered = 0
        self.out.append(b"PING :%b%d\r\n" % (_PREFIX, self._pinged))

    def take_pong(self, text: bytes) -> None:
        """Take PONG: if it answers a PING, the client has what was written before that."""
        self._answers = True
        if not self._pinged or text != b"%b%d" % (_PREFIX, self._pinged):
            return
        self._acknowledge(self._pinged)
        self._pinged = 0

    def _acknowledge(self, written: int) -> None:
        """Tell the exchange that the client has all entries up to one, or a guest as many messages."""
        if self.account:
            self.submit(frame(Verb.RECEIVED, self.name, seq=written))
        elif self._senders is not None:
            for _ in range(written - self._acknowledged):
                self.frames.append(self.place.received(self._senders.popleft()))
        self._acknowledged = written

    # Questions

    def submit(self, data: bytes) -> None:
        """Leave a frame for the exchange."""
        self.frames += Parser(self.place.heads).feed(data)

    def ask_room(self, name: bytes, do: bytes | None = None, **headers: bytes | int | None) -> bytes:
        """Return a question about a room."""
        return frame(Verb.ROOM, name, None, b"", id=QUESTION, do=do, **headers)
