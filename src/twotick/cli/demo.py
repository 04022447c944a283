"""The command to begin with."""

from twotick.cli.common import app
from twotick.ui.shell.leaving import run


@app.command()
def demo() -> None:
    """See it work: a server, a friend called echo, and you."""
    from twotick.ui.demo import demo

    run(demo())
