"""Completes what a customer has typed so far: categories, brands and titles that begin so, those that sell most first."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.apps.search.answers import Suggestion
from retrieval.lexical.analyzer import fold

if TYPE_CHECKING:
    import numpy as np

    from features.data.catalog import Catalog

MOST_READ = 2_000  # entries with the same beginning that are compared


@dataclass(frozen=True)
class Suggester:
    """Names of the catalogue by their beginnings.

    Attributes
    ----------
    keys : folded beginnings, sorted: of whole names and of each of their words.
    entries : suggestion and sales of each key.
    """

    keys: list[str]
    entries: list[tuple[Suggestion, float]]

    @classmethod
    def of(cls, catalog: Catalog, sales: np.ndarray) -> Suggester:
        """Collect names; `sales` of the items, float (n_items,)."""
        found: dict[tuple[str, str], float] = {}
        best: dict[str, tuple[float, str]] = {}  # of the items of one title, the one that sells most
        available = catalog.available  # once: it may be replaced while the service runs
        frame = catalog.frame.filter(available)
        rows = frame.select("item_id", "title", "brand", "category").iter_rows()
        for (item, title, brand, path), sold in zip(rows, sales[available].tolist(), strict=True):
            names = [("item", title), ("brand", brand), ("category", path.rsplit("|", 1)[-1].strip() if path else None)]
            for kind, name in names:
                if name:
                    found[kind, name] = found.get((kind, name), 0.0) + sold
            if title not in best or sold > best[title][0]:
                best[title] = (sold, item)
        pairs = []
        for (kind, name), sold in found.items():
            folded = fold(name)
            words = folded.split()
            suggestion = Suggestion(name, kind, best[name][1] if kind == "item" else None)
            pairs += [(" ".join(words[place:]), (suggestion, sold if place == 0 else sold / 4)) for place in range(min(len(words), 4))]
        pairs.sort(key=lambda pair: pair[0])
        return cls([key for key, _ in pairs], [entry for _, entry in pairs])

    def suggest(self, prefix: str, n: int) -> list[Suggestion]:
        """Return at most n completions of a beginning; none of an empty one."""
        typed = " ".join(fold(prefix).split())
        if not typed:
            return []
        begin = bisect_left(self.keys, typed)
        best: dict[Suggestion, float] = {}
        for place in range(begin, min(begin + MOST_READ, len(self.keys))):
            if not self.keys[place].startswith(typed):
                break
            suggestion, sold = self.entries[place]
            best[suggestion] = max(best.get(suggestion, -1.0), sold)
        return sorted(best, key=lambda one: (-best[one], one.text))[:n]
