"""Whether a database of SQLite is in use."""

import subprocess
import sys
from pathlib import Path

_TAKE = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0.0).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def is_in_use(database: Path) -> bool:
    """Tell whether a program that begins now finds the database locked."""
    command = [sys.executable, "-c", _TAKE, str(database)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said in ("", "database is locked\n")
    return bool(said)
