"""What servers tell each other reaches the store without waiting for a tick."""

from unittest.mock import Mock

from tests.client.members import until
from twotick.bus import BusHub, LocalBus
from twotick.exchange import FarGuests, Neighbours, ServerNews
from twotick.server.bus_link import BusLink


async def test_the_store_is_asked_at_once_for_what_another_server_has_told() -> None:
    hub, order = BusHub(), list[bytes]()
    neighbours, news = Mock(spec=Neighbours), Mock(spec=ServerNews)
    neighbours.take_hint = order.append
    news.take_piece = order.append
    ours, theirs = LocalBus(hub), LocalBus(hub)
    link = BusLink(ours, neighbours, news, Mock(spec=FarGuests), lambda: order.append(b"the store is asked"))
    await link.open()
    await theirs.open(lambda _: None)
    theirs.publish("hints", b"hint")
    theirs.publish("news", b"news")
    await until(lambda: len(order) == 4)
    assert order == [b"hint", b"the store is asked", b"news", b"the store is asked"]
