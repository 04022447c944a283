"""Tests of the client library, with our own server and with others."""
