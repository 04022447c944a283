"""The member's devices (docs/protocol.md, rule 10.8)."""

import re

from twotick.client.errors import ProtocolError
from twotick.client.member.headers import parse_list, text_of
from twotick.client.member.request import RequestMethods
from twotick.client.member.results import DeviceInfo
from twotick.wire import Verb

_DEVICE = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_TOKEN = re.compile(r"[!-~]{1,256}")


class DeviceMethods(RequestMethods):
    """The methods of `MemberClient` for the member's devices. While the connection is lost, they wait for the next."""

    async def devices(self) -> list[DeviceInfo]:
        """List the member's devices (rule 10.8).

        Returns:
            The devices.

        Raises:
            RequestRefused: the server refused the request.
            ProtocolError: the answer is malformed.
            TwotickError: the client has ended.
        """
        answer = await self._requests.ask(Verb.DEVICES, ident=b"")
        return parse_list(answer.body, DeviceInfo.from_json)

    async def new_token(self, device: str) -> str:
        """Create a token for a device. An older token of the same device stops working (rule 10.8).

        Args:
            device: the device's name: 1 to 64 letters, digits, `.`, `_`, `-` and `/`.

        Returns:
            The token, for `join`.

        Raises:
            RequestRefused: the server refused the request, for example because there are too many devices.
            ProtocolError: the answer is malformed.
            TwotickError: the client has ended.
            ValueError: `device` cannot be the name of a device.
        """
        answer = await self._requests.ask(Verb.TOKEN, encode_device(device), ident=b"")
        token = text_of(answer.head, b"token")
        if not _TOKEN.fullmatch(token):
            raise ProtocolError("the server sent a malformed token")
        return token

    async def revoke(self, device: str) -> None:
        """Remove a device and the devices below it (rule 10.8).

        Their tokens stop working and their connections are closed. A client that removes its own device ends with
        `Replaced`.

        Args:
            device: the device's name. Devices whose names begin with it and `/` are removed as well.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
            ValueError: `device` cannot be the name of a device.
        """
        await self._requests.ask(Verb.REVOKE, encode_device(device), ident=b"")


def encode_device(name: str) -> bytes:
    """Return the bytes of a device's name (rule 10.6).

    Raises:
        ValueError: it cannot be the name of a device.
    """
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a device: use 1 to 64 letters, digits, '.', '_', '-' and '/'")
    return name.encode()
