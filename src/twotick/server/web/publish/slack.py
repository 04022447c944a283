"""What web hooks of Slack and Mattermost, Gotify, and programs with a JSON of their own publish."""

import re
from collections.abc import Mapping
from typing import Any, Final

from twotick.server.web.publish.publication import (
    Publication,
    Unreadable,
    number_in,
    object_in,
    objects_in,
    one_line,
    text_in,
)

_LINK: Final = re.compile(r"<([^<>|\s]+)(?:\|([^<>]*))?>")
_GOTIFY: Final = (1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5)
"""Our priorities for those of Gotify."""


def read_slack(content: Mapping[str, Any]) -> Publication:
    """Return what a web hook of Slack or Mattermost publishes: `text`, `blocks` and `attachments`.

    Raises:
        Unreadable: it cannot be understood.
    """
    lines = [text_in(content, "text"), *_blocks(content)]
    for each in objects_in(content, "attachments"):
        lines += _attachment(each)
    text = "\n".join(_plain(line) for line in lines if line)
    if not text:
        raise Unreadable("there is no text in it: give text, attachments or blocks")
    return Publication(text, recipient=text_in(content, "channel"))


def _attachment(content: Mapping[str, Any]) -> list[str]:
    title, link = text_in(content, "title"), text_in(content, "title_link")
    if title and "*" not in title:
        title = f"*{one_line(title)}*"
    lines = [text_in(content, "pretext"), title, link, text_in(content, "text"), *_blocks(content)]
    fields = ((text_in(each, "title"), text_in(each, "value")) for each in objects_in(content, "fields"))
    lines += [": ".join(filter(None, field)) for field in fields]
    lines.append(text_in(content, "footer"))
    return lines if any(lines) else [text_in(content, "fallback")]


def _blocks(content: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for block in objects_in(content, "blocks"):
        text = _text_object(block, "text")
        lines.append(f"*{one_line(text)}*" if text_in(block, "type") == "header" and text and "*" not in text else text)
        lines += [text_in(field, "text") for field in objects_in(block, "fields")]
        lines.append(" ".join(_element(each) for each in objects_in(block, "elements")).strip())
    return lines


def _element(content: Mapping[str, Any]) -> str:
    """Return the text of a part of a block, without going deeper."""
    is_object = isinstance(content.get("text"), dict)
    return _text_object(content, "text") if is_object else text_in(content, "text")


def _text_object(block: Mapping[str, Any], name: str) -> str:
    return text_in(object_in(block, name), "text")


def _plain(text: str) -> str:
    """Return a text without Slack's marks for links and escaped letters."""
    text = _LINK.sub(lambda link: link[1] if not link[2] or link[2] == link[1] else f"{link[2]} ({link[1]})", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def read_gotify(content: Mapping[str, Any]) -> Publication:
    """Return what a client of Gotify publishes.

    Raises:
        Unreadable: it cannot be understood.
    """
    text = text_in(content, "message")
    if not text:
        raise Unreadable("message is missing")
    notification = object_in(object_in(content, "extras"), "client::notification")
    link = text_in(object_in(notification, "click"), "url")
    return Publication(
        text,
        title=text_in(content, "title"),
        priority=_GOTIFY[number_in(content, "priority", 0, 10, 5)],
        links=(one_line(link),) if link else (),
    )


def read_other(content: Mapping[str, Any]) -> Publication:
    """Return what a program publishes that has a JSON of its own, if a field looks like a text.

    Raises:
        Unreadable: none does.
    """
    text = text_in(content, "message", "msg", "body", "content", "summary", "description")
    title = text_in(content, "title", "subject")
    if not (text or title):
        raise Unreadable("there is no text in it: give text, message, msg, body or content")
    link = text_in(content, "url", "link")
    return Publication(text, title=title, links=(one_line(link),) if link else ())
