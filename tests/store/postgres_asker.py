"""A store on PostgreSQL to ask, in fewer words."""

from tests.store.helpers import Asker
from twotick.store import StoreLimits
from twotick.store.postgres.store import PostgresStore


class PostgresAsker(Asker):
    """Asks one store.

    Args:
        url: its database.
        limits: its limits.
        exclusive: whether it is the only one there.
    """

    def __init__(self, url: str, limits: StoreLimits, *, exclusive: bool = True):
        self.url = url
        self.exclusive = exclusive
        super().__init__(None, limits)

    def open_store(self) -> PostgresStore:
        return PostgresStore(self.url, self.limits, exclusive=self.exclusive)

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open_store()
