"""The secrets that members log in with: passwords, tokens and invitations (docs/protocol.md, section 10).

The store never keeps a secret itself: it has the hash of a password, and the digests of tokens and invitations.

Only a password can be guessed, so only its check is slow. The check runs without Python's lock, so a server can run it
in a thread without blocking the event loop.
"""

import base64
import hashlib
import secrets
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher  # imported with the first password: few programs check one

_MEMORY = 19 << 10
"""KiB of memory for a check. This, _PASSES and _LANES are the minimum that OWASP recommends for Argon2id, about 30 ms
of one core: any client can make the server do this work, and the machine may be small."""

_PASSES = 2
"""Passes over the memory."""

_LANES = 1
"""Threads per check: with one, a flood of attempts uses no more cores than the server gives it threads."""

_SALT = 16
"""Bytes of salt, so that equal passwords have different hashes (RFC 9106, section 3.1)."""

_HASH = 32
"""Bytes of a hash: too many to find another password for it by chance."""

SHORTEST_PASSWORD = 8
SHORTEST_OF_OPERATOR = 6
LONGEST_PASSWORD = 512
"""Bytes of a password (rule 10.3). The maximum limits the work of a check. What an operator chooses may be shorter,
since it can be random (NIST SP 800-63B, section 5.1.1.1)."""

_TOKEN = 32
"""Random bytes in a token: 256 bits cannot be guessed, so one fast hash is enough to keep."""

_TOKEN_PREFIX = "tt_"  # noqa: S105 # not a secret
"""Prefix by which people, and scanners for leaked secrets, recognize a token."""

_INVITATION = 25
"""Characters of an invitation, of 5 bits each: 125 bits cannot be guessed, neither at the server nor from a leaked
digest, and can still be read aloud over a telephone."""

_GROUP = 5
"""Characters of an invitation between two dashes."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Alphabet of invitations (Crockford's base 32): without i, l and o, which look like digits, and u."""

_AS_READ = str.maketrans("ilo", "110", "- \t\r\n")
"""Corrections of what people misread on paper."""


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher, Type

    return PasswordHasher(
        time_cost=_PASSES, memory_cost=_MEMORY, parallelism=_LANES, hash_len=_HASH, salt_len=_SALT, type=Type.ID
    )


def _unmatchable_hash() -> str:
    """Return a hash that takes as long to check as a real one, and that matches no known password."""
    salt, value = (base64.b64encode(bytes(size)).decode("ascii").rstrip("=") for size in (_SALT, _HASH))
    return f"$argon2id$v=19$m={_MEMORY},t={_PASSES},p={_LANES}${salt}${value}"


def prepared(password: bytes) -> bytes:
    """Return a password in the form that is hashed, which is the same whatever keyboard it was typed on (rule 10.3).

    This is the profile OpaqueString of RFC 8265, section 4.2, but it refuses nothing: what is not UTF-8 stays as it is.
    """
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return password
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    return unicodedata.normalize("NFC", spaced).encode()


def check_password(password: bytes, shortest: int = SHORTEST_PASSWORD) -> str | None:
    """Tell whether a new password is acceptable (rule 10.3).

    Args:
        password: the bytes that the user gave.
        shortest: how many bytes it has at least.

    Returns:
        What is wrong with it, in words that do not repeat it; None if it is acceptable.
    """
    password = prepared(password)
    if len(password) < shortest:
        return f"the password is too short: it must have at least {shortest} bytes"
    if len(password) > LONGEST_PASSWORD:
        return f"the password is too long: it may have at most {LONGEST_PASSWORD} bytes"
    return None


def hash_password(password: bytes) -> str:
    """Return the hash of a password, to keep. This takes about 30 ms of a core and 19 MiB.

    Args:
        password: one that `check_password` accepts.

    Returns:
        Algorithm, parameters, salt and hash, in ASCII (the PHC string format).
    """
    return _hasher().hash(prepared(password))


def verify_password(hash: str, password: bytes) -> bool:  # noqa: A002 # the usual name
    """Tell whether a password matches a hash; take as long if there is no such member (rule 10.2).

    Args:
        hash: what `hash_password` returned; empty if no member has the name.
        password: the bytes that the user gave, of any length.

    Returns:
        True if the password matches. Always False for an empty hash.

    Raises:
        argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError: the hash is damaged.
    """
    # Passwords were not prepared before: then the hash is of what the user typed.
    return any(_matches(hash, each) for each in dict.fromkeys([prepared(password), password]))


def _matches(hash: str, password: bytes) -> bool:  # noqa: A002
    from argon2.exceptions import VerifyMismatchError

    try:
        _hasher().verify(hash or _unmatchable_hash(), password)
    except VerifyMismatchError:
        return False
    return bool(hash)


def needs_rehash(hash: str, password: bytes) -> bool:  # noqa: A002
    """Tell whether a hash is to be replaced: its parameters are outdated, or the password was not prepared then.

    Args:
        hash: what `hash_password` returned, now or years ago.
        password: the password, which matches it.
    """
    if _hasher().check_needs_rehash(hash):
        return True
    form = prepared(password)
    return form != password and not _matches(hash, form)


def new_token() -> str:
    """Return a new token: `tt_` and 43 characters of A-Z a-z 0-9 `-` `_`, which hold 256 random bits."""
    return _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN)


def token_digest(token: str) -> bytes:
    """Return the digest of a token, which the store keeps and looks up.

    The time of the lookup reveals nothing, because a client cannot choose how a digest begins.

    Args:
        token: any text that a client sent as a token.

    Returns:
        The 32 bytes of its SHA-256.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_invitation() -> str:
    """Return a new invitation: five groups of five digits and letters, such as `7q0m2-...`, with 125 random bits."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_INVITATION))
    return "-".join(code[start : start + _GROUP] for start in range(0, _INVITATION, _GROUP))


def invitation_digest(code: str) -> bytes:
    """Return the digest of an invitation, which the store keeps and looks up.

    Args:
        code: the invitation as the user typed it: in upper or lower case, with or without dashes and spaces, and
            possibly with i, l or o for the digits that they look like.

    Returns:
        The 32 bytes of the SHA-256 of the corrected code.
    """
    return token_digest(code.lower().translate(_AS_READ))
