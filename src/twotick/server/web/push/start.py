"""What a server needs to push notifications: its key, and the part that pushes."""

from collections.abc import Callable
from typing import Any, Final

from twotick.exchange import PushOffer, PushQueue
from twotick.server.logs import PartLog
from twotick.server.options import ServerOptions, page_url
from twotick.server.web.push.encryption import base64url, new_key
from twotick.server.web.push.sender import PushSender
from twotick.store import KeepPushKey, PushKey, Request, Store, StoreError

log: Final = PartLog("push")


def stored_key(store: Store) -> PushKey | None:
    """Return the key pair in a store, which is made if there is none; None if it cannot be kept."""
    try:
        return store.ask(KeepPushKey(None)) or store.ask(KeepPushKey(new_key()))
    except StoreError as error:
        log.warning("notifications are not pushed", reason=str(error))
        return None


def offer_of(key: PushKey, options: ServerOptions) -> PushOffer:
    """Return what devices are told."""
    return PushOffer(base64url(key.public).encode(), options.allow_local_push)


def make_sender(
    options: ServerOptions,
    key: PushKey,
    queue: PushQueue,
    ask: Callable[[Request[Any], Callable[[Any], None]], None],
    clock: Callable[[], float],
    count: Callable[[str], None],
) -> PushSender:
    """Return what pushes, for a server with these options."""
    page = page_url(options)
    contact = "mailto:postmaster@localhost" if page is None or page.is_local else page.url.rstrip("/")
    return PushSender(queue, ask, key, contact, clock=clock, allow_local=options.allow_local_push, count=count)
