"""Show reports to the operator."""

import json
from datetime import UTC, datetime

from rich.text import Text

from twotick.store import ReportInfo
from twotick.ui.shell.describing import body_as_json
from twotick.ui.text import console, visible

_SHOWN = 1000
"""Characters of a reported message to print for people."""


def print_report(reported: ReportInfo, as_json: bool) -> None:
    """Print a report: for people, or as one JSON object on a line."""
    time = datetime.fromtimestamp(reported.time, UTC)
    about, ident = _text(reported.about), _text(reported.id)
    if as_json:
        line = {
            "number": reported.number,
            "time": time.isoformat(timespec="seconds"),
            "from": reported.reporter or None,
            "about": about,
            "id": ident or None,
            **body_as_json(reported.text),
            "message": None if reported.copy is None else body_as_json(reported.copy),
        }
        print(json.dumps(line))
        return
    who = visible(reported.reporter, keep="") or "a former member"
    when = time.astimezone().strftime("%Y-%m-%d %H:%M")
    lines = Text.assemble((f"{reported.number}", "bold"), f"  {when}  {who} about {visible(about, keep='')}")
    if reported.text:
        lines.append(_indented(_text(reported.text)))
    if reported.copy is not None:
        message = _text(reported.copy)
        more = "..." if len(message) > _SHOWN else ""
        lines.append(_indented(f"message {ident}: {message[:_SHOWN]}{more}"))
    elif reported.id:
        lines.append(_indented(f"message {ident}, which is not among the reporter's messages"))
    console().print(lines)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _indented(text: str) -> str:
    """Return further lines of a report, indented so that none can look like the first line of a report."""
    return "".join("\n    " + line for line in visible(text).splitlines())
