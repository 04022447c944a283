"""The member's devices (docs/protocol.md, rule 10.8)."""

import re

from twotick.client.member.events import as_text
from twotick.client.member.request import Asker
from twotick.client.member.results import DeviceInfo, listed
from twotick.wire import Verb

_DEVICE = re.compile(r"[A-Za-z0-9._/-]{1,64}")


class DeviceMethods(Asker):
    """What a client can do about the member's devices. All of it waits for the connection while that is away."""

    async def devices(self) -> list[DeviceInfo]:
        """List the member's devices (rule 10.8).

        Raises:
            RequestRefused: the server does not say.
            ProtocolError: what it says makes no sense.
            TwotickError: the client has ended.
        """
        return listed((await self._ask(Verb.DEVICES, ident=b"")).body, DeviceInfo.of)

    async def new_token(self, device: str) -> str:
        """Make a token for a device; an older one of the same device no longer works (rule 10.8).

        Args:
            device: the device's name: 1 to 64 letters, digits, `.`, `_`, `-` and `/`.

        Returns:
            The token, for `join`.

        Raises:
            RequestRefused: the server does not make one, as when there are too many devices.
            TwotickError: the client has ended.
            ValueError: that cannot be a device's name.
        """
        answer = await self._ask(Verb.TOKEN, device_name(device), ident=b"")
        return as_text(answer.head.headers.get(b"token", b""))

    async def revoke(self, device: str) -> None:
        """Remove a device and those below it: their tokens no longer work, their connections close (rule 10.8).

        Args:
            device: the device's name. With one's own, this client ends with `Replaced`.

        Raises:
            RequestRefused: the server does not do it.
            TwotickError: the client has ended.
            ValueError: that cannot be a device's name.
        """
        await self._ask(Verb.REVOKE, device_name(device), ident=b"")


def device_name(name: str) -> bytes:
    """Give a device's name as it is written in frames (rule 10.6).

    Raises:
        ValueError: no device can be called that.
    """
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a device")
    return name.encode()
