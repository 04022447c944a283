"""Questions about the member's own devices: DEVICES, TOKEN and REVOKE (docs/protocol.md, rule 10.8)."""

from collections.abc import Callable
from functools import partial

from twotick.exchange.connection import NotUnderstood
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.questions.question import Question
from twotick.store import AddToken, Device, ListDevices, Revoke
from twotick.wire import DEVICE, Verb, frame, time_text


class DeviceQuestions:
    """Answers questions about devices.

    Args:
        members: the members who are connected.
        new_token: makes a token, and the hash of it that the store keeps; None if the server has no members.
    """

    def __init__(
        self,
        members: ConnectedMembers,
        new_token: Callable[[], tuple[bytes, bytes]] | None,
    ) -> None:
        self._members = members
        self._new_token = new_token

    def ask_devices(self, question: Question) -> None:
        """Ask for DEVICES: the member's devices."""
        question.ask(ListDevices(question.member), partial(self._devices, question))

    def _devices(self, question: Question, found: list[Device]) -> list[bytes]:
        connected = self._members.devices(question.member)
        objects = [
            {
                "device": device.name,
                "connected": device.is_connected or device.name.encode() in connected,
                "seen": time_text(device.seen).decode(),
            }
            for device in found
        ]
        return [question.list_of(objects)]

    def ask_token(self, question: Question) -> None:
        """Ask for a TOKEN for a device.

        Raises:
            NotUnderstood: the name cannot be a device's.
        """
        device = _device(question)
        assert self._new_token is not None
        token, digest = self._new_token()
        request = AddToken(question.member, device, digest, question.now)
        question.ask(request, partial(self._token, question, token))

    def _token(self, question: Question, token: bytes, _: None) -> list[bytes]:
        return [question.answer(token=token)]

    def ask_revoke(self, question: Question) -> None:
        """Ask to REVOKE a device.

        Raises:
            NotUnderstood: the name cannot be a device's.
        """
        question.ask(Revoke(question.member, _device(question)), partial(self._revoked, question))

    def _revoked(self, question: Question, _: bool) -> list[bytes]:
        # The connection that asks may be of that device, so it gets the answer before it is closed.
        answer = frame(Verb.REVOKED, question.head.name, id=question.identifier)
        question.context.output.write(question.connection, answer)
        self._members.end_devices(question.member, question.head.name)
        return []


def _device(question: Question) -> str:
    if not DEVICE.fullmatch(question.head.name):
        raise NotUnderstood
    return question.head.name.decode("ascii")
