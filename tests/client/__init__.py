"""Tests of the library, against our own server and servers of other makes."""
