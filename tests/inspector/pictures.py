"""Takes the pictures of the inspector that illustrate the documentation: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import sync_playwright

from tests.conftest import CHROMIUM
from tests.inspector.conftest import serving
from tests.inspector.material import Clock, opened, several

__all__ = ["PICTURES", "take"]


class Picture(NamedTuple):
    """A page, as it is to be seen."""

    name: str
    session: str
    page: str
    scheme: Literal["light", "dark"] = "light"
    high: int = 720


PICTURES = (
    Picture("inspector-window", "support", "/window?max_tokens=1200", high=980),
    Picture("inspector-conversation", "travel", "?at=5", high=900),
    Picture("inspector-sessions", "", "/", "dark"),
)


def take(directory: Path) -> list[Path]:
    """Take all of them, as PNG files in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    clock.now = datetime.now(UTC) - timedelta(hours=9)
    taken: list[Path] = []
    with tempfile.TemporaryDirectory() as place, opened(f"sqlite:///{place}/chat.db", clock) as sessions:
        made = several(sessions, clock)
        with serving(f"sqlite:///{place}/chat.db") as base, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM)
            for each in PICTURES:
                context = browser.new_context(viewport={"width": 1080, "height": each.high}, color_scheme=each.scheme)
                page = context.new_page()
                home = f"{base}/sessions/{made[each.session].id}" if each.session else base
                page.goto(home + each.page)
                page.evaluate("window.scrollTo(0, 0)")
                taken.append(directory / f"{each.name}.png")
                page.screenshot(path=taken[-1])
                context.close()
            browser.close()
    return taken


if __name__ == "__main__":
    for path in take(Path(sys.argv[1])):
        print(path, f"{path.stat().st_size:,} bytes")  # noqa: T201 - a program that says what it did
