"""A check box."""

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Checkbox


class TickBox(Checkbox):
    """A check box that is readable without colours, wraps, and handles a key before the next one moves the focus."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines that the box and its text take."""
        return len(self.render().wrap(max(1, width)))

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("space", "enter"):
            event.stop()
            event.prevent_default()
            self.toggle()

    @property
    def _button(self) -> Content:
        return Content.from_text("[x]" if self.value else "[ ]", markup=False)
