"""A colour for each name, by which a reader tells the users of a room apart at a glance."""

from hashlib import sha256

COLOURS = 12
"""The number of different colours. Those with neighbouring numbers differ much."""

ON_DARK = (
    "#fb93b4", "#76cf8a", "#c4a4fe", "#d8b349", "#60c2ff", "#ff9685",
    "#36d2ba", "#e698df", "#adc35e", "#97b3ff", "#f4a25c", "#22cde5",
)  # fmt: skip
"""The colours on a dark background."""

ON_LIGHT = (
    "#a33460", "#00792f", "#724aab", "#845c00", "#006aaf", "#a8372a",
    "#007d66", "#903d8b", "#596e00", "#435ab8", "#9e4700", "#007792",
)  # fmt: skip
"""The colours on a light background."""

ON_ANY = (
    "#c54b79", "#008939", "#8b60cb", "#9b6e00", "#007bc6", "#c94e3f",
    "#00866f", "#af53a9", "#697f00", "#556fd6", "#bb5c00", "#00819f",
)  # fmt: skip
"""The colours on a background that is not known: as far from black as from white."""

OF_SIXTEEN = ("bright_red", "bright_blue", "magenta", "bright_magenta") * (COLOURS // 4)
"""The colours of a terminal that has sixteen: those that can be read on black and on white in the usual palettes."""


def colour_of(name: str) -> int:
    """Return the number of the colour of a name: always the same, however the name is written, on every machine."""
    return int.from_bytes(sha256(name.lower().encode("utf-8", "replace")).digest()[:4]) % COLOURS
