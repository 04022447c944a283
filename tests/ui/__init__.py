"""Tests of what people and scripts see: on a terminal, in a pipe, in a file."""
