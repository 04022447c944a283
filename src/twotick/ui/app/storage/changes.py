"""Changes of messages: reactions, and changes that arrived before the message that they change."""

from datetime import datetime

from twotick.client.member.headers import parse_time
from twotick.ui.app.model.messages import LocalMessage, MessageChange, author_key, now
from twotick.ui.app.storage.database import Database

_MAX_REACTIONS = 500
"""Users whose reactions to one message are stored."""

_MAX_REACTION_LENGTH = 64
"""Bytes of a reaction (rule 13.1)."""


def target(change: MessageChange) -> tuple[str, str]:
    """Return author and Id of the message that is changed, as the tables of this module store them."""
    return author_key(change.sender, bool(change.guest)), change.id


class DeferredChanges:
    """Edits and deletions of messages that are not in the database yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        change: MessageChange,
        key: str,
        place: int,
        *,
        text: str = "",
        edited: datetime | None = None,
        deleted: datetime | None = None,
    ) -> None:
        """Keep an edit or deletion until its message arrives. A deletion wins over edits, a later edit over an earlier.

        Args:
            change: the change.
            key: the key of the conversation.
            place: the place of the change.
            text: the new text of an edit.
            edited: the time of an edit.
            deleted: the time of a deletion.
        """
        self._database.execute(
            "INSERT INTO later VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place,"
            " body = excluded.body, edited = excluded.edited, deleted = excluded.deleted, own = excluded.own"
            " WHERE deleted IS NULL AND (excluded.deleted IS NOT NULL OR excluded.place > place)",
            key,
            *target(change),
            place,
            text,
            edited and edited.isoformat(),
            deleted and deleted.isoformat(),
            change.guest is False,
        )

    def apply_to(self, message: LocalMessage) -> int:
        """Apply the change that was kept for a message, and remove the change from the table.

        A change that does not say whose message it is about is kept for a member's. A guest's takes it, unless it is
        the sender's own: guests change nothing.

        Returns:
            The place of the edit that the message has now; 0 for none.
        """
        if not message.id or message.change is not None:
            return 0
        found = self._database.execute(
            "DELETE FROM later WHERE (conversation, sender, id) = (?, ?, ?) AND NOT (own AND ?)"
            " RETURNING place, body, edited, deleted",
            message.conversation,
            message.sender.lower(),
            message.id,
            message.is_guest,
        ).fetchone()
        if found is None or message.deleted is not None:
            return 0
        place, body, edited, deleted = found
        if deleted is not None:
            message.mark_deleted(parse_time(deleted) or now())
            self._database.mark_erased()
        else:
            message.text, message.edited = body, parse_time(edited) or now()
        return place


class Reactions:
    """Reactions to messages, also to messages that are not in the database yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, change: MessageChange, key: str, place: int, name: str, text: str) -> None:
        """Store the reaction of a user, unless a later one of that user is stored.

        Args:
            change: the change, which names the message.
            key: the key of the conversation.
            place: the place of the reaction.
            name: the user who reacted.
            text: the reaction; empty to remove it.
        """
        (others,) = self._database.execute(
            "SELECT count(*) FROM reaction WHERE (conversation, sender, id) = (?, ?, ?) AND name <> ?",
            key,
            *target(change),
            name,
        ).fetchone()
        if others < _MAX_REACTIONS:
            self._database.execute(
                "INSERT INTO reaction VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET place = excluded.place, body = excluded.body WHERE excluded.place > place",
                key,
                *target(change),
                name,
                place,
                text.encode("utf-8", "replace")[:_MAX_REACTION_LENGTH].decode("utf-8", "ignore"),
            )

    def delete_all(self, change: MessageChange, key: str) -> None:
        """Delete all reactions to a message."""
        self._database.execute(
            "DELETE FROM reaction WHERE (conversation, sender, id) = (?, ?, ?)", key, *target(change)
        )

    def give(self, message: LocalMessage) -> None:
        """Give a guest's message the reactions that were kept for a member's, of which there is none.

        Those of a member of that name stay: they are to a message of that member.
        """
        author = message.sender.lower()
        self._database.execute(
            "UPDATE OR IGNORE reaction SET sender = ? WHERE (conversation, sender, id) = (?, ?, ?) AND name <> ?",
            message.author,
            message.conversation,
            author,
            message.id,
            author,
        )

    def load_into(self, message: LocalMessage) -> None:
        """Fill in the reactions to a message."""
        if not message.id or message.change is not None:
            return
        found = self._database.execute(
            "SELECT name, body FROM reaction WHERE (conversation, sender, id) = (?, ?, ?) AND body <> ''"
            " ORDER BY place, rowid",
            message.conversation,
            message.author,
            message.id,
        )
        for name, text in found:
            message.reactions.setdefault(text, []).append(name)
