"""The member's devices (docs/protocol.md, rule 10.8)."""

import base64
import re

from twotick.client.errors import ProtocolError
from twotick.client.member.headers import parse_list, text_of
from twotick.client.member.request import RequestMethods
from twotick.client.member.results import DeviceInfo
from twotick.wire import Verb

_DEVICE = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_LONGEST_PASSWORD = 1024
"""The most bytes of a password that are sent. Servers accept 512, but count them in another form (rule 10.3)."""

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

    async def change_password(self, old: str, new: str, *, revoke_others: bool = False) -> None:
        """Change the member's password (rule 10.10). All devices stay logged in, unless others are revoked.

        If the connection is lost before the answer, the call fails: the password may or may not be changed.

        Args:
            old: the password as it is.
            new: the new one, of 8 to 256 bytes in UTF-8.
            revoke_others: whether to revoke all devices except those on this machine, whose names have the same part
                before the first `/`.

        Raises:
            NotAuthenticated: the old password is wrong.
            TooManyRequests: it was wrong too often; try again later.
            RequestRefused: the new password cannot be used, or the server could not keep it.
            ConnectionLost: see above.
            TwotickError: the client has ended.
            ValueError: a password is longer than any that a server accepts.
        """
        passwords = {"Old": _base64(old), "New": _base64(new)}
        headers = {**passwords, "Revoke-others": b"yes"} if revoke_others else passwords
        await self._requests.ask(Verb.PASSWORD, headers=headers, once=True)


def _base64(text: str) -> bytes:
    """Return a password as a header can hold it.

    Raises:
        ValueError: it is too long for a header.
    """
    content = text.encode(errors="surrogateescape")
    if len(content) > _LONGEST_PASSWORD:
        raise ValueError(f"the password has {len(content)} bytes, which is longer than any server accepts")
    return base64.b64encode(content)


def encode_device(name: str) -> bytes:
    """Return the bytes of a device's name (rule 10.6).

    Raises:
        ValueError: it cannot be the name of a device.
    """
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a device: use 1 to 64 letters, digits, '.', '_', '-' and '/'")
    return name.encode()
