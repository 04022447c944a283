"""What members tell the operator (rule 17.1)."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from twotick.store.port import StoreLimits
from twotick.store.requests.reports import AddReport, CloseReport, ListReports, ReportInfo
from twotick.store.rules.reports import COPY_BYTES, MOST_REPORTS, REPORT_BYTES


def report(asker: Asker, name: str, about: str, id: bytes = b"", text: bytes = b"spam") -> AddReport:  # noqa: A002
    return AddReport(asker.members[name], about.encode(), id, text, NOW)


def reports(asker: Asker) -> list[ReportInfo]:
    return asker.ask(ListReports())


def copies(asker: Asker) -> list[bytes | None]:
    return [each.copy for each in reports(asker)]


def test_a_report_is_kept_with_a_copy_of_the_message(asker: Asker):
    asker.send("bob", "alice", id=b"m1", body=b"buy this")
    assert asker.ask(report(asker, "alice", "BOB", b"m1")) is None
    assert asker.ask(replace(report(asker, "carol", "bob", text=b"he is rude"), time=NOW + 1)) is None
    first, second = reports(asker)
    assert first == ReportInfo(first.number, "alice", b"BOB", b"m1", b"buy this", b"spam", NOW)
    assert second == ReportInfo(second.number, "carol", b"bob", b"", None, b"he is rude", NOW + 1)
    assert first.number < second.number


def test_a_copy_is_of_what_the_member_has(asker: Asker):
    """Not of what others have, and not of what does not exist."""
    asker.send("bob", "carol", id=b"m1", body=b"a secret")
    asker.send("alice", "bob", id=b"m2", body=b"from alice herself")
    for about, ident in (("bob", b"m1"), ("bob", b"m2"), ("bob", b"m9"), ("nobody", b"m1"), ("\xff", b"m1")):
        assert asker.ask(report(asker, "alice", about, ident)) is None
    assert copies(asker) == [None] * 5


def test_a_message_to_many_is_copied_for_each_of_them(asker: Asker):
    asker.send("bob", "alice", "carol", id=b"m1", body=b"buy this")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    asker.ask(report(asker, "carol", "bob", b"m1"))
    assert copies(asker) == [b"buy this", b"buy this"]


def test_what_was_sent_to_a_room_is_copied_for_who_may_read_it(asker: Asker):
    asker.create("alice", public=True)
    asker.join("bob")
    asker.say("bob", b"buy this", b"m1")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    asker.ask(report(asker, "carol", "bob", b"m1"))
    asker.join("carol")
    asker.ask(report(asker, "carol", "bob", b"m1"))
    assert copies(asker) == [b"buy this", None, b"buy this"]


def test_of_messages_of_a_guest_with_one_id_the_newest_is_copied(asker: Asker):
    asker.send("dan", "alice", id=b"m1", body=b"old")
    asker.send("dan", "alice", id=b"m1", body=b"new")
    asker.send("eve", "alice", id=b"m1", body=b"from another")
    asker.ask(report(asker, "alice", "Dan", b"m1"))
    assert copies(asker) == [b"new"]


def test_who_has_left_can_be_reported(asker: Asker):
    asker.send("bob", "alice", id=b"m1", body=b"buy this")
    asker.remove("bob")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    assert copies(asker) == [b"buy this"]


def test_a_report_outlives_the_message_and_the_member(asker: Asker):
    asker.send("bob", "alice", id=b"m1", body=b"buy this")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    asker.remove("alice")
    asker.remove("bob")
    (left,) = reports(asker)
    assert (left.reporter, left.about, left.copy) == ("", b"bob", b"buy this")


def test_a_report_that_is_dealt_with_is_gone_and_its_number_stays_unused(asker: Asker):
    asker.ask(report(asker, "alice", "bob"))
    asker.ask(report(asker, "alice", "carol"))
    first, second = reports(asker)
    assert asker.ask(CloseReport(second.number)) is True
    assert asker.ask(CloseReport(second.number)) is False
    assert reports(asker) == [first]
    asker.ask(report(asker, "alice", "bob"))
    assert reports(asker)[-1].number > second.number


def test_a_member_has_so_many_open_reports(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(reports=2))
    asker.add("alice", "bob")
    for _ in range(2):
        assert asker.ask(report(asker, "alice", "bob")) is None
    reason = "at most 2 reports of a member are kept until they are dealt with"
    assert asker.refusal(report(asker, "alice", "bob")) == reason
    assert asker.ask(report(asker, "bob", "alice")) is None
    asker.ask(CloseReport(reports(asker)[0].number))
    assert asker.ask(report(asker, "alice", "bob")) is None


@pytest.mark.parametrize(
    ("text", "refused"), [(b"x" * REPORT_BYTES, False), (b"x" * (REPORT_BYTES + 1), True), (b"", False)]
)
def test_a_report_is_not_too_long(asker: Asker, text: bytes, refused: bool):
    request = report(asker, "alice", "bob", text=text)
    if refused:
        assert asker.refusal(request) == "a report has at most 4096 bytes"
    else:
        assert asker.ask(request) is None
    assert len(reports(asker)) == (not refused)


def test_a_copy_is_not_too_long(asker: Asker):
    body = b"x" * COPY_BYTES
    asker.send("bob", "alice", id=b"m1", body=body + b"and more")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    assert copies(asker) == [body]


def test_a_copy_of_nothing_is_empty(asker: Asker):
    asker.send("bob", "alice", id=b"m1", body=b"")
    asker.ask(report(asker, "alice", "bob", b"m1"))
    assert copies(asker) == [b""]


def test_who_is_no_member_reports_nothing(asker: Asker):
    request = report(asker, "alice", "bob")
    asker.remove("alice")
    assert asker.refusal(request) == "there is no such member any more"


def test_the_oldest_are_listed(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(reports=10_000))
    asker.add("alice", "bob")
    asker.store.apply([report(asker, "alice", "bob", text=b"%d" % at) for at in range(MOST_REPORTS + 5)])
    assert [each.text for each in reports(asker)] == [b"%d" % at for at in range(MOST_REPORTS)]


def test_reports_last(tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.ask(report(asker, "alice", "bob"))
    before = reports(asker)
    asker.reopen()
    assert reports(asker) == before
    asker.store.close()
