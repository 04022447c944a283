"""Messages that bots want to be sent at a time."""

from dataclasses import replace

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from twotick.store import (
    AddBot,
    AddDelayed,
    BotMember,
    CancelDelayed,
    DelayedMessage,
    FindDue,
    ListDelayed,
    Refusal,
    RemoveMember,
    SettleDelayed,
    StoreLimits,
    TakeDelayed,
)


@pytest.fixture
def asker(new_asker: AskerMaker) -> Asker:
    return new_asker(StoreLimits())


def message(asker: Asker, name: str = "cron") -> DelayedMessage:
    bot = asker.ask(AddBot(name, NOW))
    assert isinstance(bot, BotMember)
    return DelayedMessage(bot.number, b"Bob", b"d1", b"", NOW + 60, "main", b"\0digest", b"X-title: t\n", b"wake up")


def due(asker: Asker, time: float, most: int = 9) -> list[tuple[str, bytes]]:
    return [(each.bot.name, each.message.id) for each in asker.ask(FindDue(time, most))]


def test_a_message_waits_for_its_time_and_is_found_until_it_is_ended(asker: Asker) -> None:
    first = message(asker)
    second = replace(message(asker, "Other"), due=NOW + 30)
    assert [asker.ask(AddDelayed(each)) for each in (first, second)] == [NOW + 60, NOW + 30]
    assert asker.ask(ListDelayed(first.member)) == [first]
    assert due(asker, NOW + 29) == []
    assert due(asker, NOW + 60) == [("Other", b"d1"), ("cron", b"d1")]
    assert due(asker, NOW + 60, 1) == [("Other", b"d1")]
    asker.ask(SettleDelayed(second.member, b"d1", NOW + 90))
    assert due(asker, NOW + 89) == [("cron", b"d1")]
    assert asker.ask(ListDelayed(second.member)) == [second], "it is due all the same"
    asker.reopen()
    asker.ask(SettleDelayed(first.member, b"d1", None))
    assert due(asker, NOW + 90) == [("Other", b"d1")]


def test_what_comes_again_waits_once_and_a_slot_is_replaced(asker: Asker) -> None:
    first = message(asker)
    asker.ask(AddDelayed(first))
    assert asker.ask(AddDelayed(replace(first, due=NOW + 99, body=b"again"))) == NOW + 60
    third = replace(first, id=b"d3", slot=b"s")
    for each in (replace(first, id=b"d2", slot=b"s"), replace(third, recipient=b"carol", id=b"c1"), third):
        asker.ask(AddDelayed(each))
    found = [each.id for each in asker.ask(ListDelayed(first.member))]
    assert found == [b"c1", b"d1", b"d3"]


def test_a_message_is_cancelled_by_its_id_or_its_slot(asker: Asker) -> None:
    first = replace(message(asker), slot=b"s")
    asker.ask(AddDelayed(first))
    assert asker.ask(CancelDelayed(first.member, b"carol", b"d1")) == 0
    assert asker.ask(CancelDelayed(first.member, b"BOB", b"x", b"other")) == 0
    assert asker.ask(CancelDelayed(first.member, b"BOB", b"x", b"s")) == 1
    asker.ask(AddDelayed(replace(first, slot=b"")))
    assert asker.ask(CancelDelayed(first.member, b"bob", b"x")) == 0, "what has no slot is not found by an empty one"
    assert asker.ask(CancelDelayed(first.member, b"bob", b"d1")) == 1


def test_what_is_being_sent_is_neither_cancelled_nor_replaced(asker: Asker) -> None:
    first = replace(message(asker), slot=b"s")
    cancel = CancelDelayed(first.member, None, b"d1", b"s")
    asker.ask(AddDelayed(first))
    assert asker.ask(TakeDelayed(first.member, b"d1"))
    assert asker.ask(cancel) == 0
    asker.ask(AddDelayed(replace(first, id=b"d2")))
    assert [each.id for each in asker.ask(ListDelayed(first.member))] == [b"d1", b"d2"]
    asker.reopen()
    assert due(asker, NOW + 60) == [("cron", b"d1"), ("cron", b"d2")], "the server may have been killed meanwhile"
    assert asker.ask(TakeDelayed(first.member, b"d1")), "so it is sent again"
    asker.ask(SettleDelayed(first.member, b"d1", NOW + 90))
    assert asker.ask(cancel) == 2
    assert not asker.ask(TakeDelayed(first.member, b"d1"))


def test_a_bot_has_only_so_many_and_so_much(asker: Asker) -> None:
    first = message(asker)
    large = replace(first, body=bytes((8 << 20) + 1))
    asker.ask(AddDelayed(large))
    assert isinstance(asker.ask(AddDelayed(replace(large, id=b"d2"))), Refusal)
    asker.ask(CancelDelayed(first.member, None, b"d1"))
    added = asker.store.apply([AddDelayed(replace(first, id=b"n%d" % number)) for number in range(1000)])
    assert set(added) == {first.due}
    refused = asker.ask(AddDelayed(first))
    assert isinstance(refused, Refusal)
    assert "at most 1000 messages" in refused.reason


def test_a_message_that_would_be_replaced_stays_if_the_new_one_is_refused(asker: Asker) -> None:
    first = replace(message(asker), slot=b"s")
    large = replace(first, id=b"d2", slot=b"", body=bytes((16 << 20) - 100))
    assert asker.store.apply([AddDelayed(first), AddDelayed(large)]) == [first.due] * 2
    assert isinstance(asker.ask(AddDelayed(replace(first, id=b"d3", body=bytes(101)))), Refusal)
    assert [each.id for each in asker.ask(ListDelayed(first.member))] == [b"d1", b"d2"]
    assert asker.ask(AddDelayed(replace(first, id=b"d4", body=bytes(100)))) == first.due, (
        "it has the room of the old one"
    )
    assert [each.id for each in asker.ask(ListDelayed(first.member))] == [b"d2", b"d4"]


def test_a_bot_that_is_removed_takes_its_messages_with_it(asker: Asker) -> None:
    first = message(asker)
    asker.ask(AddDelayed(first))
    asker.ask(RemoveMember("cron", NOW))
    assert due(asker, NOW + 60) == []
    assert asker.ask(ListDelayed(first.member)) == []
    assert isinstance(asker.ask(AddDelayed(first)), Refusal)
