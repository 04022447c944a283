"""The session of a guest, who has a name only while connected, and whose messages are not stored."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from twotick.client import (
    Client,
    ConnectionLost,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    State,
    TrustError,
    connect,
)
from twotick.client import Message as Arrival
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage, now
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.session.repository import DeliveryUpdate
from twotick.ui.app.storage.store import LocalStore
from twotick.ui.shell.connection import telling_of_trust
from twotick.ui.tasks import together

_WINDOW = 16
"""Messages that the server may send before the client has acknowledged the first of them."""

_FIRST_WAIT = 0.25
"""Seconds before the first attempt to reconnect. The time doubles before each further attempt."""

_LONGEST_WAIT = 30.0
"""The maximum number of seconds between two attempts."""


_PASSING = (ConnectionLost, NameTaken, NotRegistered, ProtocolError, TrustError)
"""Why a connection may end and a later attempt succeed: the server may not have noticed the loss yet, so that the name
is still taken, or another program answers in its place, or the certificate is wrong for now."""


def _ignore_note(note: str) -> None:
    """Ignore what the user should know."""


class GuestSession(ChatSession):
    """A guest at one server. Messages are in memory only; drafts are stored.

    Args:
        name: the guest's name.
        server: the address of the server, as `HOST:PORT`.
        max_body: the maximum size of a message in bytes.
        folder: the folder for drafts; None to keep them in memory too.
        plaintext: whether the connection to another machine may be without TLS.

    Attributes:
        on_note: called with what the user should know of the server's certificate.
    """

    is_member = False

    def __init__(
        self, name: str, server: str, max_body: int, folder: Path | None = None, *, plaintext: bool = False
    ) -> None:
        store = LocalStore(None if folder is None else folder / "guest.db", keep_messages=False)
        super().__init__(name, server, store, max_body)
        self._in_flight: list[LocalMessage] = []
        self._has_connected = False
        self._tls = False if plaintext else None
        self.on_note: Callable[[str], None] = _ignore_note

    async def _run(self) -> None:
        """Connect, and reconnect whenever the connection is lost. Raise an error if the first attempt fails."""
        wait = _FIRST_WAIT
        while True:
            lost = "the app reconnected"
            try:
                async with self._connected() as me:
                    self._has_connected, wait = True, _FIRST_WAIT
                    self._set_connection(None)
                    async with together() as group:
                        group.create_task(self._receive_all(me))
                        group.create_task(self._send_all(me, group))
            except _PASSING as error:
                if not self._has_connected:
                    raise
                lost = str(error)
                self._set_connection(error)
            finally:
                for message in self._in_flight:
                    reason = f"it is unknown whether it arrived: {lost}"
                    self._settle(message, DeliveryUpdate(State.FAILED, reason=reason))
                self._in_flight.clear()
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client]:
        """Connect, and tell of what is new about the server's certificate."""
        async with AsyncExitStack() as stack:
            with telling_of_trust(_ignore_note if self._has_connected else self.on_note) as known:
                connecting = connect(
                    self.name,
                    self.server,
                    window=_WINDOW,
                    max_body=self.max_body,
                    tls=self._tls,
                    known_servers=known,
                )
                me = await stack.enter_async_context(connecting)
            yield me

    async def _receive_all(self, me: Client) -> None:
        while True:
            arrival = await me.receive()
            if arrival.sender.lower() != self.name.lower():  # messages to oneself are shown already
                self._receive(arrival)
            await arrival.ack()

    def _receive(self, arrival: Arrival) -> None:
        seq = self.store.newest_seq() + 1
        message = LocalMessage(arrival.sender.lower(), arrival.sender, arrival.text, now(), False, (seq, 0), seq=seq)
        self._repository.add(message)
        self.on_message(message)

    async def _send_all(self, me: Client, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._unsent.get()
            if message not in self._repository.waiting:
                continue  # it was cancelled
            self._in_flight.append(message)
            group.create_task(self._send(me, message))

    async def _send(self, me: Client, message: LocalMessage) -> None:
        state, reason = State.DELIVERED, ""
        try:
            await me.send(self.conversations.open(message.conversation).name, message.text)
        except NotDelivered as error:
            state, reason = State.FAILED, str(error)
        except ConnectionLost:
            return  # the task that receives messages gets the same error
        self._in_flight.remove(message)
        self._settle(message, DeliveryUpdate(state, reason=reason))

    def _is_on_its_way(self, message: LocalMessage) -> bool:
        return message in self._in_flight

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        conversation.complete = True  # the server has no history of guests

    def _report_read(self, name: str, seq: int) -> None:
        """Do nothing: guests cannot report what they have read."""

    def can(
        self, permission: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Return whether a guest has a permission: to send, to send again, and to cancel that."""
        if permission is Permission.SEND_AGAIN:
            return message is not None and message.state is State.FAILED
        if permission is Permission.CANCEL:
            return message is not None and message.state is State.QUEUED
        return permission is Permission.SEND

    def typing(self, conversation: LocalConversation) -> None:
        """Do nothing: other users do not see whether a guest is typing."""

    def set_presence(self, here: bool) -> None:
        """Do nothing: guests have no presence."""

    def set_visible(self, visible: bool) -> None:
        """Do nothing: guests have no presence."""
