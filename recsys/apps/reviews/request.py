"""What may be asked of the reviews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

Level = Literal["item", "brand", "category", "shop"]


@dataclass(frozen=True)
class ReviewsRequest:
    """Asks for the reviews of one item, brand or category, or of the whole shop where none is named.

    Attributes
    ----------
    item, brand, category : at most one of them; a category is a path, its beginning or one of its names.
    aspect : only this one.
    """

    item: str | None = None
    brand: str | None = None
    category: str | None = None
    aspect: str | None = None

    def __post_init__(self) -> None:
        named = list(self._named())
        if len(named) > 1:
            raise DataError(f"reviews of {' and '.join(f'the {level} {name!r}' for level, name in named)} at once: name one of them")

    @property
    def level(self) -> Level:
        """What the reviews are of."""
        named = next(self._named(), None)
        return "shop" if named is None else named[0]

    @property
    def name(self) -> str:
        """Its name; empty for the whole shop."""
        return next((name for _, name in self._named()), "")

    def _named(self) -> Iterator[tuple[Level, str]]:
        pairs: tuple[tuple[Level, str | None], ...] = (("item", self.item), ("brand", self.brand), ("category", self.category))
        return ((level, name) for level, name in pairs if name is not None)
