"""Tests of the bus between servers."""
