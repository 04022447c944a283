"""What members prove themselves with: passwords, tokens and invitations (docs/protocol.md, section 10).

None of them is ever kept: the store has a password's hash and the digests of tokens and invitations.

A password is the only one that somebody might guess, so it is the only one whose check is made slow. The work is done
without Python's lock, so a server does it in a thread, and takes the event loop no time.
"""

import base64
import hashlib
import secrets
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher  # loaded when the first password is checked: few programs ever check one

_MEMORY = 19 << 10
"""KiB that one check takes. This, _PASSES and _LANES are the least that OWASP recommends for Argon2id, which is about
30 ms of one core: anybody can make the server do this work, and it may be a small machine."""

_PASSES = 2
"""Times that the memory is gone through."""

_LANES = 1
"""Threads of one check: a flood of attempts then takes no more cores than the server gives it threads."""

_SALT = 16
"""Bytes that make equal passwords hash differently (RFC 9106, section 3.1)."""

_HASH = 32
"""Bytes of a hash: nobody finds another password for it by chance."""

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
"""Bytes of a password (rule 10.3). The upper bound is there so that a check's work has one."""

_TOKEN = 32
"""Bytes of chance in a token: 256 bits, so that nothing is gained by guessing, and one fast hash is enough."""

_TOKEN_PREFIX = "tt_"  # noqa: S105 # it is no secret
"""How people, and programs that look for secrets in what is published, recognise a token."""

_INVITATION = 25
"""Characters of an invitation, of 5 bits each: 125 bits, too many to guess, be it at the server or from a digest that
leaked; short enough to be read to somebody over a telephone."""

_GROUP = 5
"""Characters of an invitation between two dashes."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Of invitations (Crockford's base 32): without i, l and o, which look like digits, and u."""

_AS_READ = str.maketrans("ilo", "110", "- \t\r\n")
"""How what was read from paper is understood."""


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher, Type

    return PasswordHasher(
        time_cost=_PASSES, memory_cost=_MEMORY, parallelism=_LANES, hash_len=_HASH, salt_len=_SALT, type=Type.ID
    )


def _nobodys_hash() -> str:
    """A hash that asks for the same work as a real one, and that no known password has."""
    salt, value = (base64.b64encode(bytes(size)).decode("ascii").rstrip("=") for size in (_SALT, _HASH))
    return f"$argon2id$v=19$m={_MEMORY},t={_PASSES},p={_LANES}${salt}${value}"


def check_password(password: bytes) -> str | None:
    """Tell whether something may be a password (rule 10.3).

    Args:
        password: as it came.

    Returns:
        What is wrong, in words that do not repeat it, or None if nothing is.
    """
    if len(password) < SHORTEST_PASSWORD:
        return f"the password is too short: it must have at least {SHORTEST_PASSWORD} bytes"
    if len(password) > LONGEST_PASSWORD:
        return f"the password is too long: it may have at most {LONGEST_PASSWORD} bytes"
    return None


def hash_password(password: bytes) -> str:
    """Hash a password, to keep the hash. Takes about 30 ms of a core and 19 MiB.

    Args:
        password: one with which `check_password` finds nothing wrong.

    Returns:
        Algorithm, parameters, salt and hash, in ASCII (the PHC string format).
    """
    return _hasher().hash(password)


def verify_password(hash: str, password: bytes) -> bool:  # noqa: A002 # it is what it is called everywhere
    """Tell whether a password is the right one, and take as long if there is none (rule 10.2).

    Args:
        hash: what `hash_password` returned; empty for a name that is no member's.
        password: what came, of any length.

    Returns:
        True if it is right. Always False for an empty hash.

    Raises:
        argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError: this is no hash: what was kept is
            damaged.
    """
    from argon2.exceptions import VerifyMismatchError

    try:
        _hasher().verify(hash or _nobodys_hash(), password)
    except VerifyMismatchError:
        return False
    return bool(hash)


def needs_rehash(hash: str) -> bool:  # noqa: A002
    """Tell whether a hash was made with other parameters than today's: the next right password is then hashed anew.

    Args:
        hash: what `hash_password` returned, now or years ago.
    """
    return _hasher().check_needs_rehash(hash)


def new_token() -> str:
    """Make a token: `tt_` and 43 of the characters A-Z a-z 0-9 `-` `_`, which are 256 bits of chance."""
    return _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN)


def token_digest(token: str) -> bytes:
    """Give what is kept of a token, and what it is found by.

    To look for a digest gives nothing away by the time it takes, since nobody can choose what a digest begins with.

    Args:
        token: any text that came for one.

    Returns:
        The 32 bytes of its SHA-256.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_invitation() -> str:
    """Make an invitation: five groups of five digits and letters, such as `7q0m2-...`, which are 125 bits of chance."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_INVITATION))
    return "-".join(code[start : start + _GROUP] for start in range(0, _INVITATION, _GROUP))


def invitation_digest(code: str) -> bytes:
    """Give what is kept of an invitation, and what it is found by.

    Args:
        code: the invitation as somebody wrote it: in any case, with or without dashes and spaces, and with i, l or o
            for the digits that they look like.

    Returns:
        The 32 bytes of the SHA-256 of what is meant.
    """
    return token_digest(code.lower().translate(_AS_READ))
