"""Make the manual pages when a wheel is built, from the descriptions of the commands."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface[Any]):
    """Puts the manual pages into the wheel, from where pip installs them as share/man/man1."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages, and add them to what is installed beside the package."""
        source = str(Path(self.root, "src"))
        sys.path.insert(0, source)
        try:
            from twotick.cli import manual
        finally:
            sys.path.remove(source)
        folder = Path(self.root, "build", "man")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in manual().items():
            (folder / name).write_text(text, "utf-8")
            build_data["shared_data"][str(folder / name)] = f"share/man/man1/{name}"
