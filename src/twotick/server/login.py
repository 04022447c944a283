"""Check who logs in: passwords, tokens and sign-up (docs/protocol.md, section 10)."""

import asyncio
import base64
import binascii
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from twotick.exchange import MemberDevice, Shares
from twotick.net import is_loopback, network_of
from twotick.server import secrets
from twotick.server.storage import Storage
from twotick.server.throttle import MOST_TIMES, Throttle
from twotick.server.turns import Turns
from twotick.store import (
    AddMember,
    FindFailures,
    FindMember,
    FindReset,
    FindToken,
    ForgetFailures,
    LoginProof,
    Member,
    NoteFailure,
    Refusal,
    RevokeOthers,
    SetPassword,
    StoreError,
    Together,
)
from twotick.wire import DEVICE, Head, Side, StartLine, Verb

_Result = TypeVar("_Result")

_DEFAULT_DEVICE = "main"

_MOST_WAITING = 1024
"""The most passwords that wait to be checked. To check so many takes about half a minute."""

_WAIT_FOR_OTHERS = 10
"""Seconds after which a client may try again if too many others wait."""


def is_device(name: bytes) -> bool:
    """Tell whether a name is valid for a device (rule 10.6)."""
    return DEVICE.fullmatch(name) is not None


class SignUp(Enum):
    """Who may become a member over the wire (rule 10.3)."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Refused:
    """A failed login.

    Attributes:
        code: the number of the error.
        reason: why, for a person to read.
        retry_after: the seconds to wait before the next attempt; None if there is no need.
        kind: why, as a word for programs (rule 9.12); empty if there is none.
    """

    code: int
    reason: str
    retry_after: int | None = None
    kind: str = ""


_WRONG = Refused(104, "wrong name, password or token", kind="login")
_DISABLED = Refused(104, "this account is disabled: ask the operator of the server", kind="disabled")


class Authenticator:
    """Checks logins.

    Args:
        storage: where the members are.
        sign_up: who may sign up.
        is_shared: whether other servers share the database: they count failed logins together.

    Attributes:
        sign_up: see above.
    """

    def __init__(self, storage: Storage, sign_up: SignUp, *, is_shared: bool = False) -> None:
        self._storage = storage
        self._is_shared = is_shared
        self.sign_up = sign_up
        self._throttle = Throttle()
        self._loop = asyncio.get_running_loop()
        # The check of a password needs a core and much memory for a while, so there is one at a time.
        self._turns = Turns(1)
        self._waiting = Shares(_MOST_WAITING)

    async def authenticate(
        self, head: Head, address: str, *, encrypted: bool, now: float, gone: Callable[[], bool]
    ) -> tuple[Member, str, LoginProof] | Refused:
        """Check a login.

        Args:
            head: a REGISTER with an Authorization.
            address: the address of the client.
            encrypted: whether the connection is encrypted.
            now: the time of day, in seconds since 1970.
            gone: tells whether the client is gone, so that nothing need be checked.

        Returns:
            The member, the name of the device, and what was checked; or why the login failed.
        """
        if not encrypted and not is_loopback(address):
            reason = "the connection is not encrypted: passwords and tokens are not accepted on it"
            return Refused(104, reason, kind="encryption")
        device = head.headers.get(b"device", b"")
        if device and not is_device(device):
            return Refused(104, "that cannot be the name of a device", kind="device")
        try:
            return await self._check_login(head, device.decode(), address, now, gone)
        except StoreError as error:
            return Refused(107, f"the server cannot look it up now: {error}")

    async def _check_login(
        self, head: Head, device: str, address: str, now: float, gone: Callable[[], bool]
    ) -> tuple[Member, str, LoginProof] | Refused:
        scheme, _, credential = head.headers[b"authorization"].partition(b" ")
        if scheme.lower() == b"bearer":
            return await self._check_token(head.key, credential.strip(), device, address)
        name = colon = password = b""
        if scheme.lower() == b"basic":
            with suppress(binascii.Error):  # what is not base64 is no valid password
                name, colon, password = base64.b64decode(credential, validate=True).partition(b":")
        if colon and name.lower() == head.key:
            who = await self._wait_and_check(head, password, address, now, gone)
            if isinstance(who, Refused):
                return who
            return who, device or _DEFAULT_DEVICE, LoginProof(None, who.password)
        await self._failed(b"", address)
        return _WRONG

    # How long to wait (rule 10.4)

    async def _wait_for(self, key: bytes, address: str) -> float:
        """Return how long a client must wait before another attempt; the arguments are those of `Throttle.wait`."""
        if self._is_shared:
            request = FindFailures(tuple(self._throttle.keys(key, address)), network_of(address))
            ages = await self._storage.ask(request)
            now = self._loop.time()
            if request.keys == tuple(self._throttle.keys(key, address)):  # it may have become a home meanwhile
                self._throttle.replace(key, address, [[now - age for age in each] for each in ages])
        return self._throttle.wait(key, address, self._loop.time())

    async def _failed(self, key: bytes, address: str) -> None:
        self._throttle.failed(key, address, self._loop.time())
        if self._is_shared:
            keys = tuple(self._throttle.keys(key, address))
            await self._storage.ask(NoteFailure(keys, network_of(address), MOST_TIMES))

    async def _succeeded(self, key: bytes, address: str) -> None:
        """Forget the failures of a name. If a token was right, only those that this server knows of."""
        forgotten = self._throttle.succeeded(key, address)
        if self._is_shared and forgotten is not None:
            await self._storage.ask(ForgetFailures(forgotten))

    async def check(
        self, name: bytes, authorization: bytes, address: str, *, encrypted: bool, gone: Callable[[], bool]
    ) -> Member | Refused:
        """Check the name and the password of a member who does not register a connection.

        Args:
            name: the name.
            authorization: as in the header of that name.
            address: the address of the client.
            encrypted: whether its connection is encrypted.
            gone: tells whether the client is gone.
        """
        if not authorization.lower().startswith(b"basic "):
            return _WRONG
        head = Head(StartLine(Verb.REGISTER, name, Side.DUPLEX), {b"authorization": authorization})
        found = await self.authenticate(head, address, encrypted=encrypted, now=0.0, gone=gone)
        return found if isinstance(found, Refused) else found[0]

    async def _check_token(
        self, key: bytes, token: bytes, device: str, address: str
    ) -> tuple[Member, str, LoginProof] | Refused:
        digest = secrets.token_digest(token.decode("ascii", "replace"))
        found: tuple[Member, str] | None = await self._storage.ask(FindToken(digest))
        if found is not None and found[0].name.lower().encode() == key:
            member, own = found
            device = own + device if device.startswith("/") else device
            if not is_device((device or own).encode()):
                return Refused(104, "that cannot be the name of a device", kind="device")
            if device and not f"{device}/".startswith(f"{own}/"):
                return Refused(104, f"the token is for the device {own}", kind="device")
            await self._succeeded(key, address)
            if member.disabled:
                return _DISABLED
            return member, device or own, LoginProof(digest)
        if wait := await self._wait_for(b"", address):
            return _wait(wait)
        await self._failed(b"", address)
        return _WRONG

    async def _wait_and_check(
        self, head: Head, password: bytes, address: str, now: float, gone: Callable[[], bool]
    ) -> Member | Refused:
        """Check a password when all that came before it are checked; addresses take turns."""

        def check() -> Coroutine[Any, Any, Member | Refused]:
            is_new = b"sign-up" in head.headers
            return self._add(head, password, now) if is_new else self._verify(head.name.decode(), password)

        return await self._in_turn(head.key, address, gone, check)

    async def _in_turn(
        self,
        key: bytes,
        address: str,
        gone: Callable[[], bool],
        check: Callable[[], Coroutine[Any, Any, _Result | Refused]],
    ) -> _Result | Refused:
        """Check a password when all that came before it are checked.

        Args:
            key: the name, in lower case.
            address: the address of the client.
            gone: tells whether the client is gone.
            check: checks the password; a Refused counts as a failed login.
        """
        network = network_of(address)
        if wait := await self._wait_for(key, address):
            return _wait(wait)
        if not self._waiting.take(network, 1):
            return Refused(105, f"too many others log in now: wait {_WAIT_FOR_OTHERS} s", _WAIT_FOR_OTHERS)
        try:
            async with self._turns.turn(network):
                return _WRONG if gone() else await self._check_once(key, address, check)
        finally:
            self._waiting.give_back(network, 1)

    async def _check_once(
        self, key: bytes, address: str, check: Callable[[], Coroutine[Any, Any, _Result | Refused]]
    ) -> _Result | Refused:
        # Again, because an attempt that came before may have failed meanwhile.
        if wait := await self._wait_for(key, address):
            return _wait(wait)
        result = await check()
        if isinstance(result, Refused) and result is not _DISABLED:
            await self._failed(key, address)
        else:
            await self._succeeded(key, address)
        return result

    async def change_password(
        self,
        head: Head,
        key: bytes,
        address: str,
        *,
        device: MemberDevice,
        revoke_others: bool,
        gone: Callable[[], bool],
    ) -> Refused | None:
        """Change the password of a member who is logged in (rule 10.10).

        Args:
            head: the PASSWORD.
            key: the member's name, in lower case.
            address: the address of the client.
            device: the device that asks.
            revoke_others: whether all devices on other machines are to be revoked.
            gone: tells whether the client is gone, so that nothing need be checked.

        Returns:
            Why the password was not changed; None if it was.
        """
        try:
            old, new = (base64.b64decode(head.headers.get(name, b""), validate=True) for name in (b"old", b"new"))
        except binascii.Error:
            return Refused(102, "Old and New are base64")
        if problem := secrets.check_password(new):
            return Refused(102, f"the new password cannot be used: {problem}")

        async def change() -> Refused | None:
            member = await self._verify(key.decode("ascii"), old)
            if isinstance(member, Refused):
                return Refused(104, "the old password is wrong: nothing was changed")
            hashed = await asyncio.to_thread(secrets.hash_password, new)
            revoking = (RevokeOthers(member.number, device.name.decode("ascii")),) if revoke_others else ()
            request = Together((SetPassword(member.name, hashed), *revoking))
            answer = await self._storage.ask(device.guarded(request))
            if isinstance(answer, Refusal):
                raise StoreError(answer.reason)  # the password was right
            return None

        try:
            return await self._in_turn(key, address, gone, change)
        except StoreError as error:
            return Refused(102, f"the password was not changed: {error}")

    async def _verify(self, name: str, password: bytes) -> Member | Refused:
        member: Member | None = await self._storage.ask(FindMember(name))
        right = await asyncio.to_thread(secrets.verify_password, member.password if member else "", password)
        if member is None or not right:
            return _WRONG
        if member.disabled:
            return _DISABLED
        if await asyncio.to_thread(secrets.needs_rehash, member.password, password):
            member = replace(member, password=await asyncio.to_thread(secrets.hash_password, password))
            await self._storage.ask(SetPassword(name, member.password))
        return member

    async def _add(self, head: Head, password: bytes, now: float) -> Member | Refused:
        code = head.headers[b"sign-up"].decode("ascii", "replace")
        reset = secrets.invitation_digest(code)
        name = head.name.decode()
        if self.sign_up is SignUp.CLOSED and not await self._storage.ask(FindReset(name, reset, now)):
            return Refused(104, "this server does not let people sign up: ask its operator", kind="sign-up")
        if problem := secrets.check_password(password):
            return Refused(104, problem, kind="password")
        hashed = await asyncio.to_thread(secrets.hash_password, password)
        invitation = None if self.sign_up is SignUp.OPEN else reset
        added: Member | Refusal = await self._storage.ask(AddMember(name, hashed, now, invitation, reset))
        return Refused(104, added.reason, kind=added.kind) if isinstance(added, Refusal) else added


def _wait(seconds: float) -> Refused:
    whole = math.ceil(seconds)
    return Refused(105, f"too many failed attempts: wait {whole} s", whole)
