"""Tests, by the package that they look at."""
