"""What an e-mail says."""

import unicodedata
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Final
from urllib.parse import urlsplit

from twotick.store import Addressee, Digest

_POLICY: Final = SMTP.clone(max_line_length=998)
"""Lines of headers as SMTP has them. They are short, but for an address, which nothing may cut in two."""


def write_mail(addressee: Addressee, digest: Digest, sender: str, page: str) -> bytes:
    """Return an e-mail that tells a member what waits.

    Its headers have nothing that users have written.

    Args:
        addressee: the member.
        digest: what waits.
        sender: the address that it comes from.
        page: the URL of the web page; empty if other machines find none.
    """
    domain = sender.rpartition("@")[2]
    waiting = f"{'at least ' if digest.more else ''}{_messages(digest.count)}"
    verb = "waits" if digest.count == 1 else "wait"
    mail = EmailMessage(_POLICY)
    mail["From"] = f"Twotick <{sender}>"
    mail["To"] = addressee.address
    mail["Subject"] = f"{waiting[0].upper()}{waiting[1:]} {verb} for you on {urlsplit(page).hostname or domain}"
    mail["Date"] = localtime()
    mail["Message-ID"] = make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no program answers it
    mail.set_content("\n".join(_lines(addressee, digest, waiting, page)), cte="quoted-printable")
    return mail.as_bytes()


def _lines(addressee: Addressee, digest: Digest, waiting: str, page: str) -> list[str]:
    verb = "waits" if digest.count == 1 else "wait"
    lines = [f"Hello {_plain(addressee.name)},", "", f"{waiting} {verb} for you:", ""]
    for each in digest.conversations:
        lines.append(f"  {'in' if each.is_room else 'from'} {_plain(each.name)}: {_messages(each.count)}")
        if text := _plain(each.text):
            lines.append(f"    > {text}")
    if others := digest.count - sum(each.count for each in digest.conversations):
        lines.append(f"  in other conversations: {_messages(others)}")
    where = f"on {page}, or with 'twotick chat'" if page else "with 'twotick chat', or with the program that you use"
    return [
        *lines,
        "",
        f"Read them {where}.",
        "",
        "Such an e-mail comes once a day at most, and does not tell of the same messages twice.",
        f"If you want none: twotick profile --digest off --as {_plain(addressee.name)}",
    ]


def _messages(count: int) -> str:
    return f"{count} {'message' if count == 1 else 'messages'}"


def _plain(text: str) -> str:
    """Return a text as one line that changes nothing around it: without control characters and their kin."""
    kept = (" " if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") else each for each in text)
    return " ".join("".join(kept).split())
