"""Marks: strings found nowhere else, each planted in one place of one specimen."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Specimen:
    """A file with what was planted where: `places` by name, the mark as it can be found again.

    `visible` is what must still be there after cleaning: words for text, the page's words for papers.
    """

    name: str
    data: bytes
    places: Mapping[str, bytes]
    visible: tuple[str, ...] = ()


@dataclass
class Planter:
    """Hands out marks for one specimen and remembers them."""

    letters: str
    places: dict[str, bytes] = field(default_factory=dict)

    def mark(self, place: str, length: int = 0) -> str:
        """A new mark for a place, exactly so long where a length is asked for."""
        text = f"zq{self.letters}{len(self.places):02d}{''.join(filter(str.isalnum, place))}"
        text = text[:length].ljust(length, "x") if length else text
        self.note(place, text.encode())
        return text

    def note(self, place: str, mark: bytes) -> None:
        """Remember a mark that was chosen otherwise: a coordinate, a date, an encoder's own name."""
        assert mark not in self.places.values(), place
        self.places[place] = mark
