"""Reports to the operator (docs/protocol.md, section 17)."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request


@dataclass(frozen=True, slots=True)
class AddReport(Request[Refusal | None]):
    """Report a user to the operator (rule 17.1); refused if the text is too long, or with too many open reports.

    Attributes:
        about: the user who is reported, as written.
        id: the Id of a message of that user; empty for none.
        text: what the member says.
    """

    member: int
    about: bytes
    id: bytes
    text: bytes
    time: float


@dataclass(frozen=True, slots=True)
class ReportInfo:
    """A report, as the operator sees it.

    Attributes:
        number: its number.
        reporter: the member's name; empty if the member was removed.
        about: the user who is reported.
        id: the Id of the message; empty for none.
        copy: the beginning of the message's body; None if the reporter does not have the message.
        text: what the member says.
        time: when, in seconds since 1970.
    """

    number: int
    reporter: str
    about: bytes
    id: bytes
    copy: bytes | None
    text: bytes
    time: float


@dataclass(frozen=True, slots=True)
class ListReports(Request[list[ReportInfo]]):
    """List the open reports, the oldest 1,000 first."""


@dataclass(frozen=True, slots=True)
class CloseReport(Request[bool]):
    """Remove a report that the operator has dealt with. Answered by whether there was one."""

    number: int
