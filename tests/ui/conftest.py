"""Fixtures of the tests of what people see."""

from tests.cli.conftest import address

__all__ = ["address"]
