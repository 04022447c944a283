"""Tests of the web page and its WebSocket, through real sockets."""
