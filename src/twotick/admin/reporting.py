"""Reports of members about others."""

from twotick.admin.errors import AdminError
from twotick.store import CloseReport, ListReports, ReportInfo, Store


def reports(store: Store) -> list[ReportInfo]:
    """Return the open reports, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListReports())


def close_report(store: Store, number: int) -> None:
    """Remove a report.

    Raises:
        AdminError: there is no such report.
        StoreError: the report cannot be removed.
    """
    if not store.ask(CloseReport(number)):
        raise AdminError(f"there is no report {number}")
