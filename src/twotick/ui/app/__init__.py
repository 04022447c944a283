"""The terminal app, which `twotick chat` opens on a terminal."""

from twotick.ui.app.app import AppOptions, TwotickApp

__all__ = ["AppOptions", "TwotickApp", "run_app"]


async def run_app(options: AppOptions) -> None:
    """Show the app until somebody leaves.

    Raises:
        TwotickError: it cannot be shown; for example, it is open already.
    """
    app = TwotickApp(options)
    await app.run_async()
    if app.failure is not None:
        raise app.failure
