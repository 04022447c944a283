"""`python -m twotick` is the `twotick` command."""

from twotick.cli import main

main()
