"""What clients of ntfy publish: a raw body with headers or parameters, or JSON."""

from collections.abc import Mapping
from dataclasses import replace
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import Any, Final

from twotick.server.web.publish.file_names import file_name
from twotick.server.web.publish.publication import (
    Publication,
    Unreadable,
    digest,
    one_line,
    read_object,
    text_in,
    words_in,
)

_NAMES: Final = {
    "title": ("x-title", "title", "t"),
    "message": ("x-message", "message", "m"),
    "priority": ("x-priority", "priority", "prio", "p"),
    "tags": ("x-tags", "tags", "tag", "ta"),
    "click": ("x-click", "click"),
    "attach": ("x-attach", "attach", "a"),
    "filename": ("x-filename", "filename", "file", "f"),
    "delay": ("x-delay", "delay", "x-at", "at", "x-in", "in"),
    "sequence_id": ("x-sequence-id", "sequence-id", "sid"),
}
"""The names of headers and parameters. Others, such as Icon and Actions, have no effect."""

_PRIORITIES: Final = {"min": 1, "low": 2, "default": 3, "high": 4, "max": 5, "urgent": 5}


def read_raw(
    body: bytes, headers: Mapping[bytes, bytes], query: Mapping[str, str], *, is_file: bool = False
) -> Publication:
    """Return what is published to a topic.

    A body is a file if it is no text in UTF-8, or if it has a name and is not the text for a link.

    Args:
        body: the body, or the beginning of a file.
        headers: the headers of the request, by their names in lower case.
        query: its parameters.
        is_file: whether the body is a file in any case.

    Raises:
        Unreadable: it cannot be understood.
    """
    given = _given(headers, query)
    is_named = bool(body and one_line(given.get("filename", "")) and not given.get("attach"))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        is_file, text = True, ""
    if is_file or is_named:
        name = file_name(str(given.pop("filename", "")), body)
        return replace(_publication(given, without=""), file=name)
    given["message"] = "\n".join(part for part in (given.get("message", ""), text) if part)
    return _publication(given)


def read_json(body: bytes, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> Publication:
    """Return what is published as JSON, which names the topic.

    Raises:
        Unreadable: it cannot be understood.
    """
    content = read_object(body)
    if not text_in(content, "topic"):
        raise Unreadable("topic is missing: it names the recipient")
    given = {name: each for name, each in content.items() if each is not None}
    return _publication({**_given(headers, query), **given})


def _given(headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, names in _NAMES.items():
        for name in names:
            value = headers.get(name.encode())
            if value is not None:
                found[field] = _decoded(value)
                break
            if name in query:
                found[field] = query[name]
                break
    return found


def _decoded(value: bytes) -> str:
    """Return the text of a header: UTF-8 as it is, or as RFC 2047 says."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    if "=?" not in text:
        return text
    try:
        decoded = str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return text
    return decoded.encode("utf-8", "replace").decode()  # some encodings, such as UTF-7, can give half a character


def _publication(given: Mapping[str, Any], without: str = "triggered") -> Publication:
    """Return what is published; `without` is its text if it has none."""
    links = tuple(one_line(link) for name in ("click", "attach") if (link := text_in(given, name)))
    lines = [text_in(given, "message"), *([f"file: {name}"] if (name := one_line(text_in(given, "filename"))) else [])]
    sequence = text_in(given, "sequence_id")
    return Publication(
        text="\n".join(line for line in lines if line) or without,
        title=text_in(given, "title"),
        priority=_priority(given.get("priority")),
        tags=words_in(given, "tags"),
        links=links,
        recipient=text_in(given, "topic"),
        slot=slot_of(sequence) if sequence else "",
        items=("1",) if sequence else (),
        delay=one_line(text_in(given, "delay")),
    )


def slot_of(sequence: str) -> str:
    """Return what later messages with the same sequence update a message by."""
    return digest("ntfy", sequence)


def _priority(value: object) -> int:
    """Return a priority.

    Raises:
        Unreadable: it is none.
    """
    if value is None or value == "":
        return 3
    word = str(value).strip().lower()
    if word in _PRIORITIES:
        return _PRIORITIES[word]
    if word in ("1", "2", "3", "4", "5"):
        return int(word)
    raise Unreadable("priority is 1 to 5, or min, low, default, high, max")
