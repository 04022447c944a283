"""Tests of the server: real processes and real sockets."""
