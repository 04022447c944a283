"""Tests of the command and its settings: real processes, and their exit status."""
