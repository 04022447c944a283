"""Text from others, made visible: no terminal obeys anything in it."""

import unicodedata

from twotick.wire import Head

_LONGEST_REASON = 500
"""The most characters of a reason that are kept."""

_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need and that are harmless."""


_EMOJI = range(0x1F000, 0x1FB00)
"""The blocks of emoji and pictures. Nothing in them can control a terminal, now or later."""


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return a text in which control and format characters are visible instead of effective.

    Args:
        text: any text.
        keep: control characters that stay as they are.

    Returns:
        The text with control pictures for ASCII control characters (ESC becomes U+241B), and with code points such as
        `<U+202E>` for C1 controls, bidirectional overrides, line separators, private and unassigned characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or c in _JOINERS or _harmless(c) else code_point(c) for c in text)


def reason_of(head: Head) -> str:
    """Return the Reason of an ERROR as one line that is safe to print; empty if there is none (rules 7.5 and 9.6)."""
    reason = head.headers.get(b"reason", b"").decode(errors="replace")
    shown = visible(reason[:_LONGEST_REASON], keep="")
    return shown if len(reason) <= _LONGEST_REASON else f"{shown}..."


def _harmless(character: str) -> bool:
    if ord(character) in _EMOJI and unicodedata.category(character) == "Cn":
        return True  # an emoji that is newer than Python's tables, or will be one
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def code_point(character: str) -> str:
    """Return the picture of an ASCII control character, or the number of any other character, such as `<U+202E>`."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"<U+{code:04X}>"
