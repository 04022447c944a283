"""The `twotick` command, as which also `python -m twotick` runs."""

import signal


def main() -> None:
    """Load the command and run it. Ctrl+C ends it quietly even while it loads, which can take a second."""
    handles = signal.getsignal(signal.SIGINT)
    if handles is signal.default_int_handler:  # not if a shell lets it ignore the signal
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from twotick.cli import main as run

    signal.signal(signal.SIGINT, handles)
    run()


if __name__ == "__main__":
    main()
