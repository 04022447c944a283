"""Stand-ins: what the composer keeps instead of characters that a terminal would obey, or would not show."""

from twotick.client.visible import code_point, visible

_FIRST = 0x100000
"""The first stand-in. It is for private use, and so has no meaning elsewhere, and is one column wide."""

_LAST = 0x10FFFD

_OTHER = "\u2423"
"""What is shown for characters that have no picture of one column."""


class StandIns:
    """Gives each character that is not safe to show a stand-in that is one column wide, and back.

    A text keeps its length, so that positions in it stay what they are.
    """

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}
        self._pictures: dict[int, str] = {}
        self._originals: dict[int, str] = {}

    def hide(self, text: str) -> str:
        """Return a text with stand-ins. When 65,534 are in use, further characters become question marks."""
        if text.isascii() and text.isprintable():
            return text
        return "".join(each if visible(each) == each else self._stand_in(each) for each in text)

    def _stand_in(self, character: str) -> str:
        found = self._stand_ins.get(character)
        if found is None:
            number = _FIRST + len(self._stand_ins)
            if number > _LAST:
                return "?"
            found = self._stand_ins[character] = chr(number)
            self._originals[number] = character
            picture = code_point(character)
            self._pictures[number] = picture if len(picture) == 1 else _OTHER
        return found

    def reveal(self, text: str) -> str:
        """Return a text with the original characters instead of stand-ins."""
        return text.translate(self._originals) if self._originals else text

    def picture(self, text: str) -> str:
        """Return a text with pictures instead of stand-ins, of the same length and width."""
        return text.translate(self._pictures) if self._pictures else text
