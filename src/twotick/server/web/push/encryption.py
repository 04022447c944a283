"""The encryption of notifications for one browser (RFC 8291), and the proof of who posts them (RFC 8292)."""

import base64
import json
import os
import struct
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twotick.store import PushKey, PushSubscription

_SALT: Final = 16
_RECORD: Final = 4096
"""The size of a record: a push service takes messages of this size, each in one record."""

_STEP: Final = 1024
"""Messages are padded to multiples of so many bytes, so that their length tells little."""

_LIFETIME: Final = 12 * 3600
"""Seconds for which a proof is valid; at most a day is allowed."""


def new_key() -> PushKey:
    """Return a new key pair for a server."""
    private = ec.generate_private_key(ec.SECP256R1())
    return PushKey(private.private_numbers().private_value.to_bytes(32, "big"), _public(private))


def encrypt(
    text: bytes,
    subscription: PushSubscription,
    *,
    private: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
    step: int = _STEP,
) -> bytes:
    """Return a message that only one browser can read.

    Args:
        text: the message, of at most 3,992 bytes.
        subscription: the keys of the browser.
        private: a key that is used only once; None for a new one.
        salt: 16 bytes that are used only once; None for new ones.
        step: the number of bytes to whose multiples the message is padded.

    Raises:
        ValueError: the key of the browser is not a point of the curve.
    """
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), subscription.key)
    private = private or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(_SALT)
    public = _public(private)
    shared = private.exchange(ec.ECDH(), receiver)
    secret = _derived(shared, subscription.auth, b"WebPush: info\0" + subscription.key + public, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    padded = text + b"\x02"
    padded += bytes(-len(padded) % step)
    head = salt + struct.pack("!IB", _RECORD, len(public)) + public
    return head + AESGCM(key).encrypt(nonce, padded, None)


def authorization(origin: str, key: PushKey, contact: str, time: float) -> str:
    """Return the header Authorization, which proves to a push service that this server posts.

    Args:
        origin: the scheme, host and port of the push service.
        key: the server's key pair.
        contact: a URL by which the push service can reach the operator.
        time: now, in seconds since 1970.
    """
    claims = {"aud": origin, "exp": int(time) + _LIFETIME, "sub": contact}
    signed = f"{_packed({'typ': 'JWT', 'alg': 'ES256'})}.{_packed(claims)}"
    private = ec.derive_private_key(int.from_bytes(key.private, "big"), ec.SECP256R1())
    r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"vapid t={signed}.{base64url(signature)}, k={base64url(key.public)}"


def base64url(data: bytes) -> str:
    """Return bytes in base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _packed(content: Mapping[str, object]) -> str:
    return base64url(json.dumps(content, separators=(",", ":")).encode())


def _public(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
