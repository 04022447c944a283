"""Tests of the exchange, without sockets or a real clock (docs/protocol.md, sections 4 to 7)."""
