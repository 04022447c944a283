"""A store on PostgreSQL to ask, in fewer words."""

from tests.store.helpers import Asker
from tests.store.postgres_server import drop_database, new_database
from twotick.store import StoreLimits
from twotick.store.postgres.store import PostgresStore


class PostgresAsker(Asker):
    """Asks one store in a database of its own."""

    def __init__(self, server: str, limits: StoreLimits):
        self.url = new_database(server)
        super().__init__(None, limits)

    def open_store(self) -> PostgresStore:
        return PostgresStore(self.url, self.limits)

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open_store()

    def close(self) -> None:
        self.store.close()
        drop_database(self.url)
