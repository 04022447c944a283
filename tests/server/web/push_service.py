"""A push service on this machine, and a browser that subscribes there and reads what comes."""

import base64
import json
import queue
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twotick.server.tls import make_certificate

PATIENCE = 60.0
_TAKEN: tuple[int, dict[str, str]] = (201, {})


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class SubscribedBrowser:
    """The keys of a browser."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.auth = b"0123456789abcdef"

    def read(self, message: bytes) -> dict[str, Any]:
        """Decrypt what the server has posted (RFC 8291), as a browser does."""
        salt, (size, length), rest = message[:16], struct.unpack("!IB", message[16:21]), message[21:]
        sender, cipher = rest[:length], rest[length:]
        assert size == 4096
        shared = self._private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        secret = HKDF(hashes.SHA256(), 32, self.auth, b"WebPush: info\0" + self.public + sender).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        text, end, padding = AESGCM(key).decrypt(nonce, cipher, None).rpartition(b"\x02")
        assert end
        assert not padding.strip(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found


def claims(authorization: str) -> dict[str, Any]:
    """Check who has posted (RFC 8292), and return what is claimed."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "vapid"
    fields = dict(each.strip().split("=", 1) for each in rest.split(","))
    head, content, signature = fields["t"].split(".")
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    raw = decoded(signature)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(fields["k"]))
    whole = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(whole, f"{head}.{content}".encode(), ec.ECDSA(hashes.SHA256()))
    return {**json.loads(decoded(content)), "key": fields["k"]}


@dataclass
class Post:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes


class PushService:
    """A push service: it takes what is posted, and answers 201 or what it is told to.

    Attributes:
        certificate: the file of its certificate.
        origin: its URL.
        answers: the next answers: a status and headers; None to answer nothing.
        stop: lets those who wait for no answer go.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate, key, _ = make_certificate(folder, ["localhost", "127.0.0.1"], 10)
        self._posts: queue.Queue[Post] = queue.Queue()
        self.answers: list[tuple[int, dict[str, str]] | None] = []
        self.stop = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = service.answers.pop(0) if service.answers else _TAKEN
                service._posts.put(Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                if answer is None:
                    service.stop.wait(PATIENCE)
                    return
                self.send_response(answer[0])
                for header in {"Content-Length": "0", **answer[1]}.items():
                    self.send_header(*header)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.handle_error = _quietly  # type: ignore[method-assign] # clients that do not trust it
        self.origin = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def next(self) -> Post:
        """Return what was posted next."""
        return self._posts.get(timeout=PATIENCE)

    def waiting(self) -> int:
        """Return how many posts were not looked at."""
        return self._posts.qsize()

    def close(self) -> None:
        self.stop.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


_quietly: Callable[..., None] = lambda *_: None  # noqa: E731
