"""Tests of examples/ and of the commands and code in the documents, with a real server."""
