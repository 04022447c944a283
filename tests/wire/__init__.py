"""Tests of the frames and their parser (docs/protocol.md, section 2)."""
