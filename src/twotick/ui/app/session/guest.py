"""A guest's session: a name for as long as it is connected, and nothing that is kept."""

import asyncio
from pathlib import Path

from twotick.client import Client, ConnectionLost, NameTaken, NotDelivered, State, connect
from twotick.client import Message as Arrival
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage, now
from twotick.ui.app.session.base import ChatSession, Permission
from twotick.ui.app.storage.store import LocalStore
from twotick.ui.tasks import together

_WINDOW = 16
"""Messages that the server may send before the first is answered."""

_FIRST_WAIT = 0.25
"""Seconds before the first attempt to connect again; twice as many before each further one."""

_LONGEST_WAIT = 30.0
"""The most seconds between attempts."""


class GuestSession(ChatSession):
    """A guest at one server. What was said is in memory, and is gone with the program; drafts stay.

    Args:
        name: the guest's name.
        server: where.
        max_body: the longest message, in bytes.
        folder: where drafts are kept; None to keep them in memory as well.
    """

    keeps = False

    def __init__(self, name: str, server: str, max_body: int, folder: Path | None = None) -> None:
        store = LocalStore(None if folder is None else folder / "guest.db", keep_messages=False)
        super().__init__(name, server, store, max_body)
        self._in_flight: list[LocalMessage] = []
        self._begun = False

    async def _run(self) -> None:
        """Connect again and again; a first connection that cannot be had is an error."""
        wait = _FIRST_WAIT
        while True:
            lost = "the program has connected anew"
            try:
                async with connect(self.name, self.server, window=_WINDOW, max_body=self.max_body) as me:
                    self._begun, wait = True, _FIRST_WAIT
                    self._tell(None)
                    async with together() as group:
                        group.create_task(self._receive_all(me))
                        group.create_task(self._send_all(me, group))
            except (ConnectionLost, NameTaken) as error:  # the server may hold the name for the lost connection yet
                if not self._begun:
                    raise
                lost = str(error)
                self._tell(error)
            finally:
                for message in self._in_flight:
                    self._settled(message, State.FAILED, reason=f"nobody knows whether it arrived, since {lost}")
                self._in_flight.clear()
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _receive_all(self, me: Client) -> None:
        while True:
            arrival = await me.receive()
            if arrival.sender.lower() != self.name.lower():  # what one sends to oneself is there already
                self._take(arrival)
            await arrival.ack()

    def _take(self, arrival: Arrival) -> None:
        seq = self.store.newest_seq() + 1
        message = LocalMessage(arrival.sender.lower(), arrival.sender, arrival.text, now(), False, (seq, 0), seq=seq)
        self._book.add(message)
        self.on_message(message)

    async def _send_all(self, me: Client, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._unsent.get()
            self._in_flight.append(message)
            group.create_task(self._send(me, message))

    async def _send(self, me: Client, message: LocalMessage) -> None:
        state, reason = State.DELIVERED, ""
        try:
            await me.send(self.conversations.open(message.conversation).name, message.text)
        except NotDelivered as error:
            state, reason = State.FAILED, str(error)
        except ConnectionLost:
            return  # whoever waits for messages is told as well
        self._in_flight.remove(message)
        self._settled(message, state, reason=reason)

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        conversation.complete = True  # nobody else has them

    def _tell_read(self, name: str, seq: int) -> None:
        """Guests cannot tell."""

    def can(
        self, deed: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Guests have names, and nothing that is kept."""
        if deed is Permission.SEND_AGAIN:
            return message is not None and message.state is State.FAILED
        return deed is Permission.SEND

    def typing(self, conversation: LocalConversation) -> None:
        """Nobody is told what guests do."""

    def set_presence(self, here: bool) -> None:
        """See `typing`."""

    def set_shown(self, shown: bool) -> None:
        """See `typing`."""
