"""Who is asking (docs/protocol.md, section 10)."""

import asyncio
import base64
import binascii
import math
from dataclasses import dataclass
from enum import Enum

from twotick.net import is_loopback
from twotick.server import secrets
from twotick.server.storage import Storage
from twotick.server.throttle import Throttle
from twotick.store import AddMember, FindMember, FindToken, Member, Refusal, SetPassword, StoreError
from twotick.wire import DEVICE, Head

_DEFAULT_DEVICE = "main"


def is_device(name: bytes) -> bool:
    """Tell whether a device may have this name (rule 10.6)."""
    return DEVICE.fullmatch(name) is not None


class SignUp(Enum):
    """Who may make a name a member's over the wire (rule 10.3)."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why it is not known who is asking: the error's number, a reason for people, and the seconds to wait."""

    code: int
    reason: str
    retry_after: int | None = None


_WRONG = Refused(104, "wrong name, password or token")


class Authenticator:
    """Finds out who is asking.

    Args:
        storage: where members are.
        sign_up: who may sign up.
        clock: the time of day, in seconds since 1970.
    """

    def __init__(self, storage: Storage, sign_up: SignUp) -> None:
        self._storage = storage
        self._sign_up = sign_up
        self._throttle = Throttle()
        self._loop = asyncio.get_running_loop()
        # To look at one password takes a core for a while and much memory: one at a time.
        self._looking = asyncio.Semaphore(1)

    async def authenticate(self, head: Head, address: str, encrypted: bool, now: float) -> tuple[Member, str] | Refused:
        """Find out who is asking.

        Args:
            head: a REGISTER with an Authorization.
            address: where it comes from.
            encrypted: whether the connection is.
            now: the time of day, in seconds since 1970.

        Returns:
            The member and the name of the device; or why it is not known.
        """
        if not encrypted and not is_loopback(address):
            return Refused(104, "the connection is not encrypted: passwords and tokens are not accepted on it")
        device = head.headers.get(b"device", b"")
        if device and not is_device(device):
            return Refused(104, "that cannot be the name of a device")
        scheme, _, credential = head.headers[b"authorization"].partition(b" ")
        try:
            if scheme.lower() == b"bearer":
                return await self._look_at_token(head.key, credential.strip(), device.decode(), address)
            if scheme.lower() == b"basic":
                name, colon, password = base64.b64decode(credential, validate=True).partition(b":")
                if colon and name.lower() == head.key:
                    who = await self._look_at_password(head, password, address, now)
                    return who if isinstance(who, Refused) else (who, device.decode() or _DEFAULT_DEVICE)
        except binascii.Error:
            pass  # not base64: not a password of anybody's
        except StoreError as error:
            return Refused(107, f"the server cannot look it up now: {error}")
        self._throttle.failed(b"", address, self._loop.time())
        return _WRONG

    async def _look_at_token(self, key: bytes, token: bytes, device: str, address: str) -> tuple[Member, str] | Refused:
        found: tuple[Member, str] | None = await self._storage.ask(
            FindToken(secrets.token_digest(token.decode("ascii", "replace")))
        )
        if found is not None and found[0].name.lower().encode() == key:
            member, own = found
            if device and not f"{device}/".startswith(f"{own}/"):
                return Refused(104, f"the token is for the device {own}")
            self._throttle.succeeded(key, address)
            return member, device or own
        now = self._loop.time()
        if wait := self._throttle.wait(b"", address, now):
            return _wait(wait)
        self._throttle.failed(b"", address, now)
        return _WRONG

    async def _look_at_password(self, head: Head, password: bytes, address: str, now: float) -> Member | Refused:
        tried = self._loop.time()
        if wait := self._throttle.wait(head.key, address, tried):
            return _wait(wait)
        # Counted first, so that many attempts at once are not all looked at before the first has failed.
        self._throttle.failed(head.key, address, tried)
        if b"sign-up" in head.headers:
            who = await self._add(head, password, now)
        else:
            who = await self._verify(head.name.decode(), password)
        if isinstance(who, Member):
            self._throttle.succeeded(head.key, address, tried)
        return who

    async def _verify(self, name: str, password: bytes) -> Member | Refused:
        member: Member | None = await self._storage.ask(FindMember(name))
        async with self._looking:
            right = await asyncio.to_thread(secrets.verify_password, member.password if member else "", password)
            if member is None or not right:
                return _WRONG
            if secrets.needs_rehash(member.password):
                await self._storage.ask(SetPassword(name, await asyncio.to_thread(secrets.hash_password, password)))
        return member

    async def _add(self, head: Head, password: bytes, now: float) -> Member | Refused:
        code = head.headers[b"sign-up"].decode("ascii", "replace")
        if self._sign_up is SignUp.CLOSED:
            return Refused(104, "this server does not let people sign up: ask its operator")
        if problem := secrets.check_password(password):
            return Refused(104, problem)
        async with self._looking:
            hashed = await asyncio.to_thread(secrets.hash_password, password)
        invitation = secrets.invitation_digest(code) if self._sign_up is SignUp.INVITE else None
        added: Member | Refusal = await self._storage.ask(AddMember(head.name.decode(), hashed, now, invitation))
        return Refused(104, added.reason) if isinstance(added, Refusal) else added


def _wait(seconds: float) -> Refused:
    whole = math.ceil(seconds)
    return Refused(105, f"too many failed attempts: wait {whole} s", whole)
