"""The terminal app that `twotick chat` opens on a terminal."""

import sys

from twotick.ui.app.app import AppFailed, AppOptions, TwotickApp
from twotick.ui.shell.leaving import EX_SOFTWARE, fail

__all__ = ["AppOptions", "TwotickApp", "run_app"]


async def run_app(options: AppOptions, kind: type[TwotickApp] = TwotickApp) -> None:
    """Run the app until the user quits.

    Args:
        options: its options.
        kind: the class of the app.

    Raises:
        TwotickError: the app cannot run, for example because it is already open with the same name.
        SystemExit: the app has failed, with its exit status.
    """
    app = kind(options)
    await app.run_async()
    if isinstance(app.failure, AppFailed):
        fail(EX_SOFTWARE, str(app.failure))
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        sys.exit(EX_SOFTWARE)
