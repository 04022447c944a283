"""What a word is, by which messages are found (rule 14.7), in stores and as a pure function."""

# ruff: noqa: RUF001 - letters that look like others are what is tested

from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store import sending_files
from tests.store.helpers import Asker
from tests.store.test_search import change, ids, index, with_headers
from twotick.store.requests.messages import MessageAction
from twotick.store.rules.search import Filters, fold, parse_query, words_of


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("明日の会議は三時から", "会議", True),
        ("明日の会議は三時から", "会議*", True),
        ("明日の会議は三時から", "会", True),
        ("明日の会議は三時から", "ら", True),
        ("明日の会議は三時から", "三時から", True),
        ("明日の会議は三時から", "明日の会議は三時から", True),
        ("明日の会議は三時から", "議会", False),
        ("明日の会議は三時から", "会は", False),
        ("明日の会議は三時から", "明日 会議", True),
        ("明日の会議は三時から", '"明日 会議"', False),
        ("会議 三時", '"会議 三時"', True),
        ("会議室 三時", '"会議 三時"', False),
        ("ＡＢＣ会社のPython入門", "abc会社", True),
        ("ＡＢＣ会社のPython入門", "python入門", True),
        ("ＡＢＣ会社のPython入門", "pyth*", True),
        ("ＡＢＣ会社のPython入門", "入門python", False),
        ("ｶﾞｲﾄﾞ", "ガイド", True),
        (normalize("NFD", "ガイド"), "ガイ", True),
        ("ガイド", "カイト", False),
        ("학교에서 만나요", "학교", True),
        ("학교에서 만나요", normalize("NFD", "만나"), True),
        ("พรุ่งนี้มีประชุมตอนบ่าย", "ประชุม", True),
        ("ພົບກັນມື້ອື່ນ", "ມື້ອື່ນ", True),
        ("ជួបគ្នាថ្ងៃស្អែក", "ស្អែក", True),
        ("မနက်ဖြန်တွေ့မယ်", "တွေ့", True),
        ("हिन्दी में लिखा", "हिन्दी", True),
        ("हिन्दी में लिखा", "हिन", False),
        ("हिन्दी में लिखा", "हिन*", True),
        ("Café crème", "cafe", True),
        ("Cafe creme", normalize("NFD", "CAFÉ"), True),
        ("Die STRASSE in Łódź", "straße", True),
        ("Die STRASSE in Łódź", "lodz", True),
        ("Die STRASSE in Łódź", "stra*", True),
        ("Die STRASSE in Łódź", "ass", False),
        ("İstanbul ve ISPARTA", "istanbul", True),
        ("İstanbul ve ISPARTA", "ısparta", True),
        ("مُحَمَّد", "محمد", True),
        ("שָׁלוֹם", "שלום", True),
        ("ﬁle ½", "file", True),
        ("soft\u00adhyphen", "softhyphen", True),
        ("sale🎉now", "🎉", True),
        ("sale🎉now", "sale", True),
        ("well done 👍🏽", "👍", True),
        ("I ❤️ it", "❤", True),
        ("from 🇩🇪 to 🇫🇷", "🇩🇪", True),
        ("from 🇩🇪 to 🇫🇷", "🇪🇫", False),
        ("👩‍💻 works", "👩‍💻", True),
        ("a new one: 🩷", "🩷", True),
        ("See https://example.com/a_b?x=1", "example.com", True),
        ("See https://example.com/a_b?x=1", "https://example.com/a_b?x=1", True),
        ("See https://example.com/a_b?x=1", '"example com"', True),
        ("See https://example.com/a_b?x=1", "exam", False),
        ("ask @bob in #team", "@bob", True),
        ("ask @bob in #team", "#team", True),
        ("it costs 1,234.50", "1,234.50", True),
        ("it costs 1,234.50", "1234", False),
        ("x" * 300, "x" * 256, True),
    ],
)
def test_words_are_found_in_all_scripts(asker: Asker, text: str, query: str, expected: bool) -> None:
    asker.send("alice", "bob", id=b"m1", body=text.encode())
    asker.send("alice", "bob", id=b"m2", body=b"something else")
    assert ids(asker, "bob", query) == [b"m1"] * expected


def test_files_are_found_by_their_names(asker: Asker) -> None:
    for number, name in enumerate(("Plan-2026.pdf", "会議の写真.png", "plan b.txt"), 1):
        offered = sending_files.offer(asker, "alice", id=b"f%d" % number, key=b"key%d" % number, called=name)
        asker.ask(offered)
        for piece in sending_files.pieces(asker, "alice", b"content", key=b"key%d" % number):
            asker.ask(piece)
    sending_files.send_file(asker, "alice", "bob", key=b"key1", id=b"m1", body=b"as agreed")
    sending_files.send_file(asker, "alice", "bob", key=b"key2", id=b"m2", body=b"")
    sending_files.send_file(asker, "alice", "bob", key=b"key3", id=b"m3", body=b"\xff")
    found = {query: ids(asker, "bob", query) for query in ("plan", "2026.pdf", "写真", "pdf agreed", '"agreed plan"')}
    assert found == {
        "plan": [b"m3", b"m1"],
        "2026.pdf": [b"m1"],
        "写真": [b"m2"],
        "pdf agreed": [b"m1"],
        '"agreed plan"': [],
    }
    index(asker)
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"d1", body=b"")
    assert ids(asker, "bob", "plan") == [b"m3"]
    assert asker.store.check() == []


def test_a_name_of_a_file_without_a_file_does_not_count(asker: Asker) -> None:
    asker.store.apply([with_headers(asker.append("alice", "bob", id=b"m1", body=b"oats"), b"File-name: rye.png\n")])
    assert (ids(asker, "bob", "oats"), ids(asker, "bob", "rye")) == ([b"m1"], [])


TEXTS = st.text(st.characters(codec="utf-8")) | st.text("aÉßİı e\u0301\u0e01\u0e34会議カﾞ학\u1100\u1161🎉\u200d1½_-*")


@given(text=TEXTS)
@example("\u0345\u0300")
@example("\u1e9e\ufb03")
def test_to_fold_twice_is_to_fold_once(text: str) -> None:
    """So a word is found by what it looks like in the index, too."""
    assert words_of(fold(text)) == words_of(text)


@given(text=TEXTS)
def test_no_word_ends_another_or_is_too_long(text: str) -> None:
    """Words stand in the index between spaces, and in queries between quotes, where ASCII has a meaning."""
    for word in words_of(text):
        assert 0 < len(word) <= 256
        assert all(not letter.isascii() or letter.isalnum() for letter in word)
        assert not any(letter.isspace() for letter in word)


@given(text=TEXTS, other=TEXTS)
def test_every_part_of_a_text_without_spaces_finds_it(text: str, other: str) -> None:
    """The words of a query are in a row in those of a text with it."""
    term = parse_query(f'"{other.replace(chr(34), "")} x"', Filters())[0]
    within = words_of(f"{text} {other.replace(chr(34), '')} x {text}")
    count = len(term.words)
    assert any(within[at : at + count] == term.words for at in range(len(within) - count + 1))
