"""A colour for each name, by which a reader tells users apart at a glance; and names that look alike."""

import unicodedata
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


_CYRILLIC = "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455\u0501"
_RARE = "\u04bb\u051b\u051d\u04cf"
_GREEK = "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b3"
_STROKES = "\u0131\u0142\u00f8\u0111\u00f0\u0127"
_LOOK_ALIKE = str.maketrans(
    f"{_CYRILLIC}{_RARE}{_GREEK}{_STROKES}0135l|!",
    "abekmhopctyxijsdhqwiabeikvoptuxyiiodohoiesiii",
)
"""Characters that look like a Latin letter, and that letter. `l` counts as `i`, because it looks like a capital `I`."""


def skeleton(text: str) -> str:
    """Return what is left of a text for a glance: texts with the same skeleton can be mistaken for each other.

    Accents, marks, spaces, punctuation, case, and the script of letters that look alike make no difference.
    """
    if not text:
        return ""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    letters = plain.translate(_LOOK_ALIKE).replace("rn", "m").replace("vv", "w")
    return "".join(letter for letter in letters if letter.isalnum())
