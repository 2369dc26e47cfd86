"""What an audience is asked for: a product that sells, one that nobody has bought, a category, or words alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.behavior.item_stats import narrow_codes
from features.errors import DataError
from features.names import BUYERS_91, BUYERS_EVER, CATEGORY
from ranking.filters import in_categories

if TYPE_CHECKING:
    from recsys.apps.customers.audience.request import AudienceRequest
    from recsys.recommend.pipeline import Recommender

Kind = Literal["sold", "unsold", "category"]
NEAR = 20  # products that sell and are nearest in text to one that does not
SQUARINGS = 3  # of the cosine, to its 8th power, as in `retrieval.new_items.evidence`


@dataclass(frozen=True)
class Product:
    """One thing to be bought, as pair features read it.

    Attributes
    ----------
    kind : which model answers for it.
    name : for people.
    row : catalogue row of the item; of a category its best seller, of words alone the nearest item that sells.
    rows : the items that it stands for: itself, those nearest in text that sell, or those of the category.
    weights : their weights, float32, with a sum of 1.
    vector : unit vector of its text; empty for a category and an item that sells.
    known : whether `row` is the product itself, so that its category, brand and price are known.
    """

    kind: Kind
    name: str
    row: int
    rows: np.ndarray
    weights: np.ndarray
    vector: np.ndarray
    known: bool = True


@dataclass(frozen=True)
class Products:
    """Makes products of what one recommender knows."""

    recommender: Recommender

    def of(self, request: AudienceRequest) -> Product:
        """Return what a request asks for.

        Raises
        ------
        DataError
            If the item or the category is unknown, or nothing sells that the text could be compared with.
        """
        catalog = self.recommender.snapshot.catalog
        if request.item is not None:
            row = int(catalog.rows_or_raise([request.item])[0])
            return self.item(row)
        if request.category is not None:
            return self.category(np.flatnonzero(in_categories(catalog, (request.category,))), request.category)
        return self.words(request.text or "")

    def item(self, row: int) -> Product:
        """Return an item, sold or not."""
        name = self.recommender.snapshot.catalog.frame["title"][row]
        if self.recommender.snapshot.stats.columns[BUYERS_EVER][row] > 0:
            return Product("sold", name, row, np.array([row]), np.ones(1, np.float32), np.zeros(0, np.float32))
        return self.unsold(row, name)

    def unsold(self, row: int, name: str = "") -> Product:
        """Return an item of which nothing is known but its text."""
        snapshot = self.recommender.snapshot
        vector = snapshot.text_vectors[snapshot.text_of[row]]
        return Product("unsold", name, row, *self._near(vector), vector)

    def category(self, rows: np.ndarray, name: str) -> Product:
        """Return the items of a category as one thing."""
        sales = self.recommender.snapshot.stats.columns[BUYERS_EVER][rows].astype(np.float64)
        total = float(sales.sum())
        if total <= 0:
            raise DataError(f"nobody has bought anything of category {name!r}: ask for it by --text")
        return Product("category", name, int(rows[sales.argmax()]), rows, (sales / total).astype(np.float32), np.zeros(0, np.float32))

    def words(self, text: str) -> Product:
        """Return a product that has no row: the items nearest to its text in the space of the search tell of it."""
        snapshot, model = self.recommender.snapshot, self.recommender.model
        query = model.encode_queries([text]).vectors[0]
        similar = snapshot.search_texts.vectors @ query
        rows, weights = _best(similar[snapshot.search_texts.text_of], self._selling, most=8)
        if not len(rows):
            raise DataError("nothing has been sold yet: there is nothing to compare the text with")
        vector = weights @ snapshot.text_vectors[snapshot.text_of[rows]]
        vector /= max(float(np.linalg.norm(vector)), 1e-9)
        near = self._near(vector)
        return Product("unsold", text, int(rows[0]), *near, vector.astype(np.float32), known=False)

    def shelves(self) -> list[Product]:
        """Return every category of the catalogue that has sold, for fitting."""
        snapshot = self.recommender.snapshot
        code = narrow_codes(snapshot.catalog, CATEGORY)
        sold = np.bincount(code, weights=snapshot.stats.columns[BUYERS_91]) > 0
        return [self.category(np.flatnonzero(code == one), str(one)) for one in np.flatnonzero(sold).tolist() if one > 0]

    @property
    def _selling(self) -> np.ndarray:
        columns = self.recommender.snapshot.stats.columns
        recent = columns[BUYERS_91] > 0
        return recent if recent.any() else columns[BUYERS_EVER] > 0

    def _near(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        snapshot = self.recommender.snapshot
        return _best((snapshot.text_vectors @ vector)[snapshot.text_of], self._selling, most=NEAR)


def _best(similar: np.ndarray, selling: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the items that sell and are most similar, and weights by the 8th power of the cosine."""
    rows = np.flatnonzero(selling)
    best = rows[np.argsort(-similar[rows], kind="stable")[:most]]
    weights = sharpened(similar[best])
    total = float(weights.sum())
    even = np.full(len(best), 1 / max(len(best), 1))
    return best, (weights / total if total > 0 else even).astype(np.float32)


def sharpened(cosine: np.ndarray) -> np.ndarray:
    """Return the 8th power of cosines above 0: near texts count, far ones hardly."""
    out = np.maximum(cosine, 0)
    for _ in range(SQUARINGS):
        out = out * out
    return out
