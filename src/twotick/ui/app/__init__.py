"""The terminal app, which `twotick chat` opens on a terminal."""

from twotick.ui.app.app import TwotickApp, Wishes

__all__ = ["TwotickApp", "Wishes", "talk"]


async def talk(wishes: Wishes) -> None:
    """Show the app until somebody leaves.

    Raises:
        TwotickError: it cannot be shown; for example, it is open already.
    """
    app = TwotickApp(wishes)
    await app.run_async()
    if app.failure is not None:
        raise app.failure
