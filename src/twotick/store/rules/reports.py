"""The rules of reports to the operator (docs/protocol.md, section 17)."""

REPORT_BYTES = 4096
"""The longest text of a report, in bytes."""

COPY_BYTES = 65536
"""How much of the body of a reported message is kept, in bytes."""

MOST_REPORTS = 1000
"""The most reports that are listed at once."""
