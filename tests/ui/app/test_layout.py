"""Tests of the layout of messages."""

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.ui.app.examples import MORNING, message
from tests.ui.test_text import anything, obeyed, tricks
from twotick.client import State
from twotick.ui.app.layout.messages import MAX_LINES, LayoutContext, height, lines
from twotick.ui.app.layout.wrapping import Line, wrap, wrap_text
from twotick.ui.app.model.messages import Attachment, LocalMessage, RoomNotice, TransferProgress
from twotick.ui.names import colour_of

BEFORE = message("before", 0)
widths = st.integers(1, 120)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def laid_out(
    each: LocalMessage,
    before: LocalMessage | None = BEFORE,
    width: int = 60,
    new: bool = False,
    quoted: LocalMessage | None = None,
) -> list[str]:
    return [text_of(line).rstrip() for line in lines(each, LayoutContext(before, new, quoted=quoted), width)]


def of_style(each: LocalMessage, style: str, width: int = 60, me: str = "alice") -> list[str]:
    """Return the texts with a style."""
    built = lines(each, LayoutContext(BEFORE, me=me), width)[-MAX_LINES:]
    return [span.text for line in built for span in line if span.style == style]


hostile = anything | tricks | st.text("ab *_`>\n@ \U0001f469\u200d\U0001f4bb\u4f60e\u0301\ufe0f[/]")
kinds = st.sampled_from(["created", "joined", "left", "changed", "removed", "appointed", "invited", "absent"])


@st.composite
def messages(draw: st.DrawFn) -> LocalMessage:
    """Return a message with arbitrary text in every field that other users fill in."""
    each = message(draw(hostile), outgoing=draw(st.booleans()), reason=draw(hostile))
    each.sender = draw(hostile)
    if each.outgoing:
        each.state = draw(st.sampled_from(State))
    each.of = draw(st.integers(0, 2000))
    each.have = draw(st.integers(0, each.of))
    if draw(st.booleans()):
        each.reply_to = (draw(hostile), draw(hostile))
    if draw(st.booleans()):
        each.forwarded_from = draw(hostile)
    if draw(st.booleans()):
        each.reactions = draw(st.dictionaries(hostile, st.lists(hostile, max_size=3), max_size=12))
    if draw(st.booleans()):
        each.file = Attachment("k", draw(hostile), draw(st.integers(-1, 1 << 70)), "")
        each.transfer = draw(st.none() | st.builds(TransferProgress, st.integers(-5, 50), st.integers(-5, 40)))
    if draw(st.booleans()):
        each.edited = each.time
    if draw(st.booleans()):
        each.event = RoomNotice(
            draw(kinds | hostile), draw(hostile), draw(hostile), draw(st.none() | hostile), draw(hostile), draw(hostile)
        )
    elif draw(st.booleans()):
        each.deleted = each.time
    return each


@given(messages(), messages() | st.none(), messages() | st.none(), st.booleans(), st.booleans(), widths)
def test_fields_of_other_users_never_leave_their_place(
    each: LocalMessage, before: LocalMessage | None, quoted: LocalMessage | None, new: bool, blocked: bool, width: int
) -> None:
    around = LayoutContext(before, new, blocked, quoted, "alice")
    built = lines(each, around, width)
    assert len(built) == height(each, around, width) <= MAX_LINES + 15
    for line in built:
        assert obeyed(text_of(line)) == set()
        if width > 8:
            assert cell_len(text_of(line)) <= width
    assert len(lines(each, around._replace(quoted=None), width)) == len(built)


@given(anything | tricks | st.text("ab \U0001f469\u200d\U0001f4bb\u4f60e\u0301\ufe0f"), widths)
@example("a" * 100, 7)
@example("\u4f60", 1)
@example("\U0001f469\u200d\U0001f4bb" * 20, 20)
@example("e" + "\u0301" * 1000, 10)
@example("\U0001f469\u200d\u200d", 8)
def test_text_never_leaves_its_place(text: str, width: int) -> None:
    each = message(text, outgoing=True, state=State.FAILED, reason=text)
    built = lines(each, LayoutContext(BEFORE), width)
    assert len(built) == height(each, LayoutContext(BEFORE), width) <= MAX_LINES + 10
    for line in built:
        assert obeyed(text_of(line)) == set()
        assert "\U0001f469\u200d" not in text_of(line)
        if width > 8:
            assert cell_len(text_of(line)) <= width


@given(st.text("ab \u4f60", max_size=60), st.integers(2, 30))
def test_wrapping_drops_only_spaces(text: str, room: int) -> None:
    found = wrap_text(text, room)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= room for line in found)


def test_words_that_fit_are_not_broken() -> None:
    assert wrap_text("one two three", 8) == ["one two", "three"]
    assert wrap_text("a verylongword", 6) == ["a very", "longwo", "rd"]


@given(st.text("\n", max_size=5000) | st.text(min_size=0, max_size=300))
def test_a_long_message_is_cut(text: str) -> None:
    each = message(text * 50)
    assert len(laid_out(each)) == height(each, LayoutContext(BEFORE), 60) <= MAX_LINES + 1


def test_messages_of_one_sender_are_grouped_for_ten_minutes() -> None:
    first = message("a", minutes=0)
    assert laid_out(first, None) == [
        "\u2500" * 17 + " Monday 23 November 2026 " + "\u2500" * 18,
        "",
        *["  bob  09:30", "  a"],
    ]
    assert laid_out(message("b", minutes=3), first) == ["  b"]
    assert laid_out(message("c", minutes=30), first) == ["", "  bob  10:00", "  c"]
    assert laid_out(message("d", outgoing=True), first)[1] == "  alice  09:30"


def test_new_days_and_new_messages_are_marked() -> None:
    first = message("a")
    assert "Tuesday 24 November 2026" in laid_out(message("b", minutes=60 * 24), first)[1]
    assert " new " in laid_out(message("b"), first, new=True)[1]


def test_ticks_are_at_the_right_of_the_last_line() -> None:
    ticks = {
        State.QUEUED: "\u2026",
        State.ACCEPTED: "\u2713",
        State.DELIVERED: "\u2713\u2713",
        State.READ: "\u2713\u2713",
    }
    for state, tick in ticks.items():
        *_, last = lines(message("hi", outgoing=True, state=state), LayoutContext(BEFORE), 20)
        assert text_of(last) == "  hi" + tick.rjust(15)
    assert "\u2713" not in "".join(laid_out(message("hi")))


def test_the_reason_of_a_failure_is_shown_below_the_message() -> None:
    each = message("hi", outgoing=True, state=State.FAILED, reason="bob is not connected")
    assert laid_out(each, width=60)[-3:] == [
        "  hi" + "\u2717".rjust(55),
        "  not delivered: bob is not connected",
        "  /again sends it again",
    ]


def test_deliveries_in_a_room_are_counted() -> None:
    each = message("hi", outgoing=True, peer="#team", have=3, of=7)
    assert laid_out(each)[-1].endswith(" 3/7")
    each.state = State.DELIVERED
    assert laid_out(each)[-1].endswith(" \u2713\u2713")
    each.have, each.state = 0, State.ACCEPTED
    assert laid_out(each)[-1].endswith(" \u2713")


def test_ticks_that_do_not_fit_get_a_line_of_their_own() -> None:
    each = message("x" * 14, outgoing=True, state=State.READ)
    assert laid_out(each, width=20)[-1] == "  " + "x" * 14 + " \u2713\u2713"
    each.edited = each.time
    assert laid_out(each, width=20)[-2:] == ["  " + "x" * 14, "edited \u2713\u2713".rjust(19)]


def test_edited_and_deleted_messages_are_marked() -> None:
    assert laid_out(message("hi", edited=MORNING), width=20)[-1] == "  hi" + "edited".rjust(15)
    assert laid_out(message("", deleted=MORNING, edited=MORNING))[-1] == "  message deleted"


def test_a_reply_quotes_the_message_in_one_line() -> None:
    first = message("one\ntwo " + "and more " * 40, ident="m1")
    each = message("yes", 2, outgoing=True, reply_to=("bob", "m1"))
    quote = laid_out(each, first, quoted=first)[-2]
    assert quote.startswith("  \u250c bob: one two and more and more")
    assert quote.endswith("\u2026")
    assert cell_len(quote) <= 60 - 4
    assert laid_out(each, first)[-2] == "  \u250c bob: message not available"
    first.deleted = MORNING
    assert laid_out(each, first, quoted=first)[-2] == "  \u250c bob: message deleted"


def test_reactions_are_counted_and_own_ones_are_highlighted() -> None:
    each = message("hi", reactions={"\U0001f44d": ["bob", "Alice"], "ok": ["carol"]})
    assert laid_out(each)[-1] == "  \U0001f44d 2  ok 1"
    assert of_style(each, "mine") == ["\U0001f44d 2"]
    assert of_style(each, "reaction") == ["ok 1"]
    each.reactions = {f"r{count}": ["bob"] for count in range(11)}
    assert laid_out(each, width=80)[-1].endswith("r7 1  +3")


def test_a_file_shows_name_size_and_progress_or_the_key_to_save_it() -> None:
    each = message("", file=Attachment("k", "a photo.png", 150_000, ""))
    assert laid_out(each)[-1] == "  \u25a4 a photo.png  146 KiB  v: show  s: save"
    each.transfer = TransferProgress(75_000, 150_000)
    assert laid_out(each)[-1].endswith("146 KiB  " + "\u2588" * 6 + "\u2591" * 6 + "  50%")
    each.text = "look"
    assert laid_out(each)[-2] == "  look"


def test_a_room_event_is_a_dim_line_without_a_name() -> None:
    def said(event: RoomNotice) -> str:
        (line,) = laid_out(message("", peer="#team", sender="bob", event=event))
        return line

    assert said(RoomNotice("joined")) == "  bob joined  09:30"
    assert said(RoomNotice("removed", "carol")) == "  bob removed carol  09:30"
    assert said(RoomNotice("appointed", "carol", "moderator")) == "  bob made carol a moderator  09:30"
    assert said(RoomNotice("changed", topic="wine")) == "  bob changed the topic to: wine  09:30"
    assert said(RoomNotice("changed", access="public")) == "  bob made the room public  09:30"
    assert said(RoomNotice("invited", room="#team")) == "  bob invites you to #team: /join #team  09:30"
    absent = said(RoomNotice("absent", "phone", topic="2026-11-22"))
    assert absent == "  connect your device phone by 2026-11-22  09:30"
    after = message("hi", 2, peer="#team", sender="bob")
    event = message("", peer="#team", sender="bob", event=RoomNotice("joined"))
    assert laid_out(after, event)[1] == "  bob  09:30"


def test_messages_of_blocked_users_are_hidden() -> None:
    each = message("spam", peer="#team", sender="mallory")
    built = [text_of(line) for line in lines(each, LayoutContext(BEFORE, blocked=True), 60)]
    assert built == ["  mallory is blocked. v: show"]


def test_messages_to_everyone_are_marked() -> None:
    first = message("psst")
    assert laid_out(message("hello all", 2, everyone=True), first)[1] == "  bob  09:30  to everyone"


def test_all_parts_of_a_wrapped_link_are_highlighted() -> None:
    link = "https://a.example/" + "x" * 60
    assert "".join(of_style(message(f"see {link}, please"), "link", 30)) == link
    assert len(of_style(message(f"see {link}, please"), "link", 30)) == 4
    assert "".join(of_style(message(f"{link} @alice"), "mention", 30)) == "@alice"


def test_marks_are_not_shown_and_count_no_columns() -> None:
    assert laid_out(message("*12345* _678_ `90`"), width=10 + 6)[-2:] == ["  12345 678", "  90"]
    assert of_style(message("*12345 67890*"), "strong", 8 + 6) == ["12345", "67890"]
    assert of_style(message("*see https://a.example*"), "strong link") == ["https://a.example"]


def test_quotes_and_code_stand_behind_a_bar_on_every_line() -> None:
    assert laid_out(message("> one two\nthree"), width=5 + 6)[-3:] == ["  \u258e one", "  \u258e two", "  three"]
    assert laid_out(message("```\n  x\n\n```"), width=60)[-2:] == ["  \u2502   x", "  \u2502"]


def test_text_without_formatting_stays_as_it_was_typed() -> None:
    each = message("> *a* `b`\n```\nc\n```")
    built = lines(each, LayoutContext(BEFORE, formatted=False), 60)
    assert [text_of(line).strip() for line in built[-4:]] == each.text.split("\n")


def test_a_mention_has_the_colour_of_its_name_and_one_of_the_user_stands_out() -> None:
    each = message("@bob @Alice @carol")
    assert of_style(each, "mention", me="alice") == ["@Alice"]
    assert of_style(each, f"name-{colour_of('carol')}") == ["@carol"]


@given(st.text("ab /:hts.@\u4f60", max_size=60), st.integers(2, 30))
def test_wrapped_lines_know_where_they_begin(text: str, room: int) -> None:
    for start, line in wrap(text, room):
        assert text[start : start + len(line)] == line
