"""Notifications that are pushed to browsers (docs/protocol.md, section 20)."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request


@dataclass(frozen=True, slots=True)
class PushKey:
    """The key pair by which push services know the server.

    Attributes:
        private: the private key, 32 bytes.
        public: the public key, 65 bytes: a point of the curve P-256 that is not compressed.
    """

    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class KeepPushKey(Request[PushKey | None]):
    """Keep a key pair if there is none. Answered by the one that is kept.

    Attributes:
        key: the key pair; None to look only whether there is one.
    """

    key: PushKey | None


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """Where and how notifications for a device are pushed.

    Attributes:
        endpoint: the URL at the push service.
        key: the public key of the browser, 65 bytes.
        auth: the secret that the browser shares with the server, 16 bytes.
        with_text: whether a notification has the text of the message.
    """

    endpoint: str
    key: bytes
    auth: bytes
    with_text: bool


@dataclass(frozen=True, slots=True)
class SetPush(Request[Refusal | None]):
    """Subscribe a device to notifications (rule 20.1), or end that.

    What is in the log by then is not pushed. Another device with the same endpoint loses it.

    Attributes:
        device: the name of the member's device.
        subscription: the subscription; None to end it.
    """

    member: int
    device: str
    subscription: PushSubscription | None


@dataclass(frozen=True, slots=True)
class ListSubscribers(Request[list[int]]):
    """List the members with a device that is subscribed."""


@dataclass(frozen=True, slots=True)
class PushLook:
    """A member for whose devices to look.

    Attributes:
        member: the member.
        connected: the names of the member's devices that are connected now.
    """

    member: int
    connected: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PushNews:
    """The new messages of one conversation, for a notification.

    Attributes:
        name: the user or room, as it is shown.
        sender: the sender of the newest message.
        text: the beginning of its text; empty if the device does not want it, or if it is no text.
        count: how many messages there are.
        seq: the number of the newest one in the log.
        time: when that was accepted, in seconds since 1970.
    """

    name: str
    sender: str
    text: str
    count: int
    seq: int
    time: float


@dataclass(frozen=True, slots=True)
class DevicePushes:
    """The news that the server pushes to a device.

    Attributes:
        member: whose device it is.
        device: its name.
        subscription: where to push it.
        news: the conversations with new messages, the one with the newest message last.
        waits: whether there is more, which the device is given time to receive by itself.
    """

    member: int
    device: str
    subscription: PushSubscription
    news: tuple[PushNews, ...]
    waits: bool


@dataclass(frozen=True, slots=True)
class FindPushes(Request[list[DevicePushes]]):
    """Find what is to be pushed to the devices of some members (rules 20.3 and 20.4).

    Answered by all of their devices that are subscribed, also those for which there is nothing.

    Attributes:
        looks: the members.
        time: now, in seconds since 1970.
        found: what was found in earlier transactions of the same request.
    """

    looks: tuple[PushLook, ...]
    time: float
    found: tuple[DevicePushes, ...] = ()


@dataclass(frozen=True, slots=True)
class NotePushed(Request[None]):
    """Note that a device's notifications were pushed, up to an entry of the log."""

    member: int
    device: str
    seq: int


@dataclass(frozen=True, slots=True)
class DropPush(Request[None]):
    """End a device's subscription, if it still has this endpoint: the push service does not know it any more."""

    member: int
    device: str
    endpoint: str
