"""Look at a server's installation, also a broken one and beside a running server, and change nothing."""

from twotick.doctor.examining import examine_server
from twotick.doctor.findings import PROBLEMS, Finding, Level

__all__ = ["PROBLEMS", "Finding", "Level", "examine_server"]
