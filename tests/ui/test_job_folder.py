"""The jobs of `listen --exec`: which message is worked on again, and which is another one."""

from tests.ui.test_describing import message
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.job_folder import JobFolder


def test_the_job_of_a_member_is_never_that_of_a_guest_of_the_same_name() -> None:
    """After a backup was restored, their messages can have the same number."""
    jobs = JobFolder(Credential("localhost:18000", "alice", "laptop", "token"))
    same = {"id": "m1", "time": "2026-11-22T09:30:00Z"}
    first, again = (jobs.job(message("hello", **same)).key for _ in range(2))
    assert first == again
    assert jobs.job(message("hello", guest="yes", **same)).key != first
