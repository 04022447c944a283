"""The files of the page, and the headers of every answer (docs/protocol.md, rule 19.3)."""

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeAlias

from twotick.server.web.scripts import linked, short_script

Headers: TypeAlias = list[tuple[str, str]]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:;"
    " connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types worker"
)
"""What the page may do: run its own scripts and styles, talk to its own server, and show what it has made itself.

The only text that it may turn into the address of a script is that of its service worker (`worker`).
"""

SECURITY: Final[Headers] = [
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
"""Headers of every answer."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""The files that are served, by the ends of their names."""

_STYLE_SPACE: Final = re.compile(rb"/\*.*?\*/|^ +|(?<=[:;,{]) +| +(?=[{}])", re.MULTILINE | re.DOTALL)
"""Comments of the page's style, and spaces that mean nothing."""

_MAIN: Final = "/app/main.js"
"""The script that the page starts with."""

_PAGES: Final = {"/": "/index.html", "/admin": "/admin/index.html", "/admin/": "/admin/index.html"}
"""The files of the pages, by their paths in a URL."""

_COMPRESSED: Final = (".png", ".woff2")
"""Files that compressing would not make smaller."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer to a request: the status, the headers and the body."""

    status: int
    headers: Headers
    body: bytes = b""


class StaticFile:
    """A file of the page. It is hashed and compressed when it is asked for the first time.

    Args:
        content: its content.
        suffix: the end of its name.
    """

    def __init__(self, content: bytes, suffix: str) -> None:
        self._suffix = suffix
        self._content = content

    @cached_property
    def _packed(self) -> bytes | None:
        packed = None if self._suffix in _COMPRESSED else gzip.compress(self._content, mtime=0)
        return packed if packed is not None and len(packed) < len(self._content) else None

    @cached_property
    def tag(self) -> str:
        """A text that changes with the content."""
        return hashlib.sha256(self._content).hexdigest()[:32]

    def answer(self, headers: Mapping[bytes, bytes]) -> WebAnswer:
        """Return the answer to a request with these headers."""
        packed = self._packed if b"gzip" in headers.get(b"accept-encoding", b"") else None
        # What is compressed is another representation, so it has a tag of its own (RFC 9110, section 8.8.3.3).
        tag = f'"{self.tag}{"" if packed is None else "-gzip"}"'
        common = [("ETag", tag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"), *SECURITY]
        if tag.encode() in headers.get(b"if-none-match", b""):
            return WebAnswer(304, common)
        if packed is not None:
            common.append(("Content-Encoding", "gzip"))
        return WebAnswer(200, [("Content-Type", _TYPES[self._suffix]), *common], packed or self._content)


class Site:
    """What is served under the root.

    Args:
        info: what the page is told before anyone has logged in.

    Attributes:
        info: see above.
    """

    def __init__(self, info: dict[str, Any]) -> None:
        self._files = _served(_files_in(files("twotick") / "web" / "static", "/"))
        self.info = info

    @cached_property
    def _page(self) -> dict[str, Any]:
        """The version of the page and its files, for the service worker, which keeps whole versions."""
        ours = sorted(path for path in self._files if not path.startswith("/admin/"))  # which is a page of its own
        kept = sorted("/" if path == "/index.html" else path for path in ours if path != "/sw.js")
        content = hashlib.sha256()
        for path in ours:
            content.update(f"{path}:{self._files[path].tag}\n".encode())
        return {"version": content.hexdigest()[:16], "files": kept}

    def answer(self, method: str, target: str, headers: Mapping[bytes, bytes]) -> WebAnswer:
        """Return the answer to a request.

        Args:
            method: its method.
            target: its target.
            headers: its headers, by their names in lower case.
        """
        if method not in ("GET", "HEAD"):
            return plain_answer(405, "Only GET and HEAD are known here.", [("Allow", "GET, HEAD")])
        path = target.partition("?")[0]
        if path == "/info.json":
            return json_answer(self.info)
        if path == "/page.json":
            return json_answer(self._page)
        file = self._files.get(_PAGES.get(path, path))
        return plain_answer(404, "There is nothing here.") if file is None else file.answer(headers)


def json_answer(content: Any, status: int = 200) -> WebAnswer:
    """Return an answer in JSON, which is not kept."""
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *SECURITY]
    return WebAnswer(status, headers, json.dumps(content).encode())


def bytes_answer(content: bytes) -> WebAnswer:
    """Return an answer with bytes of any kind, which are not kept."""
    return WebAnswer(
        200, [("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store"), *SECURITY], content
    )


def plain_answer(status: int, text: str, headers: Headers | None = None) -> WebAnswer:
    """Return an answer with a text for people."""
    common = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), *SECURITY]
    return WebAnswer(status, [*common, *(headers or [])], f"{text}\n".encode())


def _files_in(folder: Traversable, path: str) -> dict[str, bytes]:
    """Return the files in a folder and the folders below it, by their paths."""
    found: dict[str, bytes] = {}
    for each in folder.iterdir():
        if each.is_dir():
            found |= _files_in(each, f"{path}{each.name}/")
        elif _suffix(each.name) in _TYPES:
            found[path + each.name] = each.read_bytes()
    return found


def _suffix(path: str) -> str:
    return f".{path.rpartition('.')[2]}"


def _served(written: Mapping[str, bytes]) -> dict[str, StaticFile]:
    """Return the files to serve, made of those that were written."""
    scripts = {path: short_script(content.decode()) for path, content in written.items() if path.endswith(".js")}
    styles = {path: _short_style(content) for path, content in written.items() if path.endswith(".css")}
    others = {path: content for path, content in written.items() if path not in scripts | styles}
    served = others | styles | {path: content.encode() for path, content in linked(scripts, _MAIN).items()}
    return {path: StaticFile(content, _suffix(path)) for path, content in served.items()}


def _short_style(content: bytes) -> bytes:
    """Return a style without comments and spaces that mean nothing. Each line keeps its number."""
    return _STYLE_SPACE.sub(lambda each: b"\n" * each[0].count(b"\n"), content)
