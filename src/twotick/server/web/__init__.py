"""The web page and its WebSocket: HTTP on ports of its own, in the server's event loop."""
