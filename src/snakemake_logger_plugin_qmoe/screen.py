"""Where the lines go: above a live line on a terminal, one after the other elsewhere."""

import os
from typing import Any, TextIO

from tqdm import tqdm


class Screen:
    """A stream, with one line at its end that is drawn anew while the rest stays."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._bar: tqdm[Any] | None = None

    def say(self, text: str) -> None:
        """Write text that stays."""
        if self._bar:
            self._bar.clear()
        print(text, file=self.stream, flush=True)
        if self._bar:
            self._bar.refresh()

    def draw(self, text: str, done: int, total: int) -> None:
        """Draw the live line: a bar, the time that has passed, and the text."""
        form = "{percentage:3.0f}%|{bar:20}| {elapsed}{postfix}"
        bar = self._bar = self._bar or tqdm(
            total=total, file=self.stream, bar_format=form, dynamic_ncols=True, leave=False
        )
        bar.n, bar.total = done, total
        bar.set_postfix_str(text)

    def close(self) -> None:
        """Remove the live line."""
        if self._bar:
            self._bar.close()
        self._bar = None
