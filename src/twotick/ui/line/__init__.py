"""The line client: `twotick chat` in a pipe, or on a terminal with `--plain`."""
