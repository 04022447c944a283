"""Tests of what stays true when processes and disks fail."""
