"""The question PUSH: a device subscribes to notifications, or ends that (docs/protocol.md, rule 20.1)."""

import base64
import binascii
from functools import partial
from typing import Final

from twotick.exchange.endpoints import InvalidEndpoint, parse_endpoint
from twotick.exchange.pushes import PushOffer, PushQueue
from twotick.exchange.questions.question import InvalidQuestion, Question
from twotick.store import PushSubscription, SetPush

_KEY: Final = 65
_AUTH: Final = 16
"""The bytes of the browser's key and secret (RFC 8291)."""


class PushQuestions:
    """Answers PUSH.

    Args:
        pushes: the members for whom the server looks.
    """

    def __init__(self, pushes: PushQueue) -> None:
        self._pushes = pushes

    def ask_push(self, question: Question) -> None:
        """Answer PUSH with the server's key; subscribe the device that asks, or end its subscription, if it says so.

        Raises:
            InvalidQuestion: the server does not push, or a header is malformed.
        """
        offer = self._pushes.offer
        if offer is None:
            raise InvalidQuestion("this server does not push notifications")
        headers = question.head.headers
        ends = b"do" in headers
        if ends and headers[b"do"] != b"remove":
            raise InvalidQuestion("Do is remove")
        if not ends and b"endpoint" not in headers:
            question.context.output.write(question.connection, question.answer(key=offer.key))
            question.answered()
            return
        subscription = None if ends else _subscription(question, offer)
        request = SetPush(question.member, question.device.name.decode("ascii"), subscription)
        question.ask(request, partial(self._set, question, offer, is_subscribed=not ends))

    def _set(self, question: Question, offer: PushOffer, _: None, *, is_subscribed: bool) -> list[bytes]:
        if is_subscribed:
            self._pushes.subscribed(question.member)
        return [question.answer(key=offer.key)]


def _subscription(question: Question, offer: PushOffer) -> PushSubscription:
    endpoint = question.required(b"endpoint").decode("latin-1")
    try:
        parse_endpoint(endpoint, allow_local=offer.allow_local)
    except InvalidEndpoint as error:
        raise InvalidQuestion(str(error)) from error
    key, auth = _decoded(question, b"p256dh", _KEY), _decoded(question, b"auth", _AUTH)
    if key[0] != 4:
        raise InvalidQuestion("P256dh is no public key of a browser")
    return PushSubscription(endpoint, key, auth, bool(question.yes_or_no(b"text")))


def _decoded(question: Question, header: bytes, size: int) -> bytes:
    """Return the bytes that a header has in base64url.

    Raises:
        InvalidQuestion: it is missing or malformed, or has another number of bytes.
    """
    text = question.required(header)
    try:
        value = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != size:
        raise InvalidQuestion(f"{header.decode().capitalize()} is {size} bytes in base64url")
    return value
