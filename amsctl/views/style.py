"""How a text may look: five styles, a width, and whether the terminal can show more than ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Style(Enum):
    """The whole set of styles; the value is the ANSI parameter. Colour never carries a meaning that words do not carry too."""

    DANGER = "1;31"
    CAUTION = "33"
    GOOD = "32"
    QUIET = "2"
    BOLD = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the place of output can show. ``width`` is in columns; ``unicode`` tells whether signs beyond ASCII arrive."""

    color: bool = False
    unicode: bool = True
    width: int = 80

    def paint(self, style: Style, text: str) -> str:
        """The text in a style; as it is where there is no colour, and where it is empty."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self.color and text else text

    def danger(self, text: str) -> str:
        """Loosening, failing, blocking."""
        return self.paint(Style.DANGER, text)

    def caution(self, text: str) -> str:
        """Worth a second look."""
        return self.paint(Style.CAUTION, text)

    def good(self, text: str) -> str:
        """Tightening, verified, nothing to do."""
        return self.paint(Style.GOOD, text)

    def quiet(self, text: str) -> str:
        """Context."""
        return self.paint(Style.QUIET, text)

    def bold(self, text: str) -> str:
        """Headings."""
        return self.paint(Style.BOLD, text)

    @property
    def arrow(self) -> str:
        """Between before and after."""
        return "→" if self.unicode else "->"

    @property
    def loosens(self) -> str:
        """The sign of a change that lets more through."""
        return "▲" if self.unicode else "^"

    @property
    def tightens(self) -> str:
        """The sign of a change that lets less through."""
        return "▼" if self.unicode else "v"

    @property
    def neutral(self) -> str:
        """The sign of a change that lets the same through."""
        return "•" if self.unicode else "-"


PLAIN: Final = Look()
"""No colour, 80 columns."""
