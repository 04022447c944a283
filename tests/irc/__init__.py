"""Tests of the IRC gateway: of its lines, and through real sockets."""
