"""Measure the word index: its size, what it costs to add a message, and how long questions take.

The store runs in this process, without a server. The texts are made up of words whose frequencies fall like those of a
language (Zipf).
"""

import argparse
import sqlite3
import tempfile
import time
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from common import machine, run, say, table

from twotick.store import AddMember, Append, OpenDevice, SearchMessages, SearchPage, SqliteStore, StoreLimits

MESSAGES = 60_000
_SEED = 14
_AT_ONCE = 500
_TIMES = 9
_COMMON, _RARE = 20, 2000
"""Ranks of the words that are looked for."""

_LETTERS = {
    "English": "etaoinshrdlcumwfgypbvk",
    "Japanese": "".join(map(chr, (*range(0x3042, 0x3090), *range(0x4E00, 0x4E00 + 2000)))),
    "Thai": "".join(map(chr, (*range(0x0E01, 0x0E2F), *range(0x0E30, 0x0E3A), *range(0x0E40, 0x0E45)))),
}


class Language:
    """Makes texts.

    Args:
        name: which letters they have.
    """

    def __init__(self, name: str) -> None:
        self._random = random = Random(_SEED)
        letters = _LETTERS[name]
        shortest, longest = (2, 9) if name == "English" else (1, 3) if name == "Japanese" else (2, 6)
        words = {
            "".join(random.choice(letters) for _ in range(random.randint(shortest, longest))): None
            for _ in range(20_000)
        }
        self.words = list(words)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self.words) + 1)))
        self._space = " " if name == "English" else ""

    def text(self) -> str:
        """Return the text of a message: some dozen words."""
        return self._space.join(
            self._random.choices(self.words, cum_weights=self._weights, k=self._random.randint(2, 24))
        )


def measure(name: str, messages: int) -> list[str]:
    """Return a row of the table: the figures for one language."""
    language = Language(name)
    texts = [language.text() for _ in range(messages)]
    size = sum(len(text.encode()) for text in texts) / messages
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), StoreLimits())
        numbers = [member.number for member in store.apply([AddMember(each, "", 0.0) for each in ("alice", "bob")])]
        store.apply([OpenDevice(number, "main", 0, 0.0) for number in numbers])
        say(f"search: {messages:,} messages in {name}")
        for start in range(0, messages, _AT_ONCE):
            several = enumerate(texts[start : start + _AT_ONCE], start)
            store.apply([_message(numbers[0], at, text) for at, text in several])
        spent = _index(store)
        pages = _pages(Path(folder) / "twotick.db", "word_%")
        common, rare = language.words[_COMMON], language.words[_RARE]
        words = (common, rare, f"{common[:2]}*", f'"{language.text()[:12].strip()}"')
        asked = [_asked(store, SearchMessages(numbers[1], query, b"", 0, 20, 1 << 22)) for query in words]
        asked.append(_asked(store, SearchMessages(numbers[1], "", b"", 0, 20, 1 << 22, sender=b"alice")))
        store.close()
    figures = [pages / messages / 2, _trigrams(texts) / messages, spent / messages * 1e6]
    return [name, f"{size:.0f}", *(f"{figure:.0f}" for figure in figures), *(f"{each * 1e3:.1f}" for each in asked)]


def _message(sender: int, at: int, text: str) -> Append:
    return Append(
        sender=sender,
        sender_name=b"alice",
        recipient=b"bob",
        headers=b"",
        body=text.encode(),
        time=float(at),
        id=b"%d" % at,
    )


def _index(store: SqliteStore) -> float:
    """Let everything be indexed; return the seconds of the processor that this took, without moving rows."""
    search: Any = vars(store)["_search"]
    tidy, spent = search.tidy, 0.0

    def timed() -> bool:
        nonlocal spent
        began = time.thread_time()
        more: bool = tidy()
        spent += time.thread_time() - began
        return more

    search.tidy = timed
    while store.tidy():
        pass
    search.tidy = tidy
    return spent


def _pages(file: Path, tables: str) -> int:
    """Return how many bytes tables take."""
    with closing(sqlite3.connect(file)) as database:
        (size,) = database.execute("SELECT sum(pgsize) FROM dbstat WHERE name LIKE ?", (tables,)).fetchone()
        return int(size)


def _trigrams(texts: list[str]) -> int:
    """Return how many bytes an index of all three letters in a row takes, for comparison."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5 (text, content = '', columnsize = 0, tokenize = 'trigram')")
        database.executemany("INSERT INTO t (rowid, text) VALUES (?, ?)", enumerate(texts, 1))
        database.execute("INSERT INTO t (t) VALUES ('optimize')")
        (size,) = database.execute("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 't_%'").fetchone()
        return int(size)


def _asked(store: SqliteStore, question: SearchMessages) -> float:
    """Return how many seconds a question takes, as the median of some times."""

    def once() -> float:
        began = time.perf_counter()
        page = store.ask(question)
        took = time.perf_counter() - began
        if not isinstance(page, SearchPage):
            raise SystemExit(f"search: {question} was answered {page}")
        return took

    return sorted(once() for _ in range(_TIMES))[_TIMES // 2]


_HEAD = [
    "texts",
    "bytes",
    "index",
    "trigrams",
    "\u00b5s to index",
    "common word",
    "rare word",
    "beginning",
    "phrase",
    "from:",
]


def report(messages: int = MESSAGES) -> str:
    """Return the table: per message, bytes and microseconds; then milliseconds of a question."""
    return table([_HEAD, *(measure(name, messages) for name in _LETTERS)])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES, metavar="N", help=f"messages [{MESSAGES}]")
    arguments = parser.parse_args()
    say(machine(()))
    print(report(arguments.messages))


if __name__ == "__main__":
    run(main)
