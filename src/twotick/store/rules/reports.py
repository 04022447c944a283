"""The rules of reports to the operator (docs/protocol.md, section 17)."""

from twotick.store.port import StoreLimits
from twotick.store.rules.errors import NotAllowed

REPORT_BYTES = 4096
"""The longest text of a report, in bytes."""

COPY_BYTES = 65536
"""How much of the body of a reported message is kept, in bytes."""

MOST_REPORTS = 1000
"""The most reports that are listed at once."""


def check_report(text: bytes, held: int, limits: StoreLimits) -> None:
    """Check that a member may report something (rule 17.1).

    Args:
        text: what the member says.
        held: how many open reports the member has.
        limits: the most of them.

    Raises:
        NotAllowed: the text is too long, or there are too many.
    """
    if len(text) > REPORT_BYTES:
        raise NotAllowed(f"a report has at most {REPORT_BYTES} bytes")
    if held >= limits.reports:
        raise NotAllowed(
            f"at most {limits.reports} reports of a member are kept until they are dealt with", "max_reports"
        )
