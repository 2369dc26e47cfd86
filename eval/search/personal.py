"""The personal protocol: a household searches for a type of product, and what it then buys of it is relevant.

The queries are the words of a product type that the household bought in the window after the cut, and three other ways to type them:
shortened, misspelt and in another order. A shop needs no search log for it. A system may learn from what lies before the cut alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.judged import Judgments
from eval.metrics.user_items import UserItems
from eval.search.product_types import ProductTypes
from eval.search.query_set import QuerySet, sample
from eval.search.variations import misspelt, reordered, shortened
from features.errors import DataError
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.catalog import Catalog
    from features.data.split import Split

FORMS: dict[str, Callable[[str, int], str | None]] = {
    "as it is": lambda query, _seed: query,
    "shortened": shortened,
    "typo": misspelt,
    "re-ordered": reordered,
}
HEAD = 0.5  # share of the purchases before the cut that the types called head have together


def personal_queries(catalog: Catalog, split: Split, most: int = 2000, seed: int = 0) -> QuerySet:
    """Draw about `most` queries: a quarter as many pairs of a household and a product type that it bought after the cut, in each form.

    Slices are the forms, and types that sold much or little before the cut ("head", "tail"). Items of the type that nobody had bought
    before the cut are relevant too.

    Raises
    ------
    DataError
        No user of the split bought something that has a product type.
    """
    types = ProductTypes.of(catalog)
    users, items = split.pairs
    asked = (types.of_item[items] >= 0) & np.isin(users, split.users)
    users, items = users[asked], items[asked]
    n_types = len(types.words)
    pair_of = users * n_types + types.of_item[items]
    if not len(pair_of):
        raise DataError("nobody with events before the cut buys something with a category after it: give items categories, or a longer log")
    pairs = sample(sorted_unique(pair_of), max(most // len(FORMS), 1), seed)
    made = [
        (place, form, text)
        for place, pair in enumerate(pairs.tolist())
        for form, make in FORMS.items()
        if (text := make(types.words[pair % n_types], seed)) is not None
    ]
    place = np.array([one[0] for one in made])
    head = _head(types, split)[pairs % n_types][place]
    slices = {form: np.array([one[1] == form for one in made]) for form in FORMS} | {"head": head, "tail": ~head}
    return QuerySet(
        name="personal",
        queries=tuple(text for _, _, text in made),
        users=tuple(split.history.user_ids[pairs // n_types][place].tolist()),
        judgments=Judgments.binary(_relevant(pairs, place, pair_of, items, len(catalog))),
    ).with_slices(slices)


def type_queries(catalog: Catalog, most: int = 200, seed: int = 0) -> QuerySet:
    """Draw product types as queries of unknown visitors; all items of the type are relevant.

    Each has a misspelt form, so that the share of precision that a search keeps can be measured.
    """
    types = ProductTypes.of(catalog)
    long_enough = [row for row, words in enumerate(types.words) if misspelt(words, seed) is not None]
    chosen = sample(np.array(long_enough, dtype=np.int64), most, seed)
    place = np.full(len(types.words) + 1, -1, dtype=np.int64)  # the last is for items without a type
    place[chosen] = np.arange(len(chosen))
    query = place[types.of_item]
    item = np.flatnonzero(query >= 0)
    relevant = UserItems.of(query[item], item, len(chosen), len(catalog))
    return QuerySet("types", tuple(types.words[row] for row in chosen.tolist()), (None,) * len(chosen), Judgments.binary(relevant))


def _relevant(pairs: np.ndarray, place: np.ndarray, pair_of: np.ndarray, items: np.ndarray, n_items: int) -> UserItems:
    """Return what was bought of each query's pair; `pair_of` and `items` are the purchases, `place` the pair of each query."""
    row = np.minimum(np.searchsorted(pairs, pair_of), len(pairs) - 1)
    drawn = pairs[row] == pair_of
    bought = UserItems.of(row[drawn], items[drawn], len(pairs), n_items)
    begin = np.cumsum(bought.counts) - bought.counts
    counts = bought.counts[place]
    query = np.repeat(np.arange(len(place)), counts)
    within = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    return UserItems.of(query, bought.item[np.repeat(begin[place], counts) + within], len(place), n_items)


def _head(types: ProductTypes, split: Split) -> np.ndarray:
    """Return the types that sold most before the cut, with `HEAD` of the purchases together, bool (n_types,)."""
    sold = types.of_item[split.history.item]
    counts = np.bincount(sold[sold >= 0], minlength=len(types.words))
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(len(counts), dtype=bool)
    head[order] = before < HEAD * counts.sum()
    return head
