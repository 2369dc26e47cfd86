"""Queries to learn ranking from: the search log's, and the words of product types that users then bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.user_items import UserItems
from eval.search.product_types import ProductTypes
from eval.search.variations import reordered, shortened
from features.behavior.click_propensities import ClickPropensities
from features.data.histories import Histories
from features.data.interactions import DAY
from features.names import CART, CLICK, PURCHASE, SEARCH_EVENTS
from ranking.search_ranker import LabelledLists

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.queries import Queries
    from features.data.split import Split
    from retrieval.candidates import Candidates

MOST = 800  # lists that are learned from; each costs the recommender's probabilities of its candidates
UNKNOWN = 0.25  # share of lists that are learned as an unknown visitor's
LEAST_LISTS = 200  # with a click, from which the search log is learned from
FROM_LOG, FROM_PURCHASES = "the search log", "product types and what was bought of them"


@dataclass(frozen=True)
class SearchExamples:
    """Lists of a query with what became of them.

    Attributes
    ----------
    texts : the queries (n).
    users : rows of the log, int64 (n,); -1 for an unknown visitor.
    wanted : items that were clicked or bought, for each list.
    shown : items that the list showed, for each list; None where every candidate counts.
    weight : of what was wanted in each list: float32 (n,) an item, in the order of `wanted`; None for 1.
    source : where they come from, for the model card.
    bought : what was bought after the search, for each list, whether it was shown or not; None where that is `wanted`.
    """

    texts: tuple[str, ...]
    users: np.ndarray
    wanted: UserItems
    shown: UserItems | None
    weight: np.ndarray | None
    source: str
    bought: UserItems | None = None

    def histories(self, split: Split) -> Histories:
        """Return what each list's user did before the cut; nothing for an unknown visitor."""
        return Histories.of_users(split.history, self.users, split.cut)

    def labelled(self, candidates: Candidates) -> LabelledLists:
        """Label the candidates of each list; one that the list did not show has the weight 0."""
        labels = self.wanted.hits(candidates.rows)
        shown = candidates.valid if self.shown is None else self.shown.hits(candidates.rows)
        weights = shown.astype(np.float32)
        if self.weight is not None:
            keys = np.arange(len(labels))[:, None] * np.int64(self.wanted.n_items) + candidates.rows
            weights[labels] = self.weight[np.searchsorted(self.wanted.keys, keys[labels])]
        return LabelledLists(candidates, labels, weights)


def search_examples(catalog: Catalog, log: Queries | None, split: Split, seed: int, *, debiased: bool = True) -> tuple[SearchExamples, ...]:
    """Return the lists of the search log, if it has enough, and those made of purchases, if items have types.

    The log shows few items a list, and those that the shop's own engine ranked high; purchases judge all that search finds.
    """
    of_log = None if log is None else examples_of_log(log, split, seed, debiased=debiased)
    return tuple(part for part in (of_log, examples_of_purchases(catalog, split, seed)) if part is not None)


def examples_of_purchases(catalog: Catalog, split: Split, seed: int) -> SearchExamples | None:
    """Draw pairs of a user and a product type that was bought after the cut, asked for in the type's words; None if nothing has a type."""
    rng = np.random.default_rng([seed, 20])
    types = ProductTypes.of(catalog)
    users, items = split.pairs
    asked = (types.of_item[items] >= 0) & np.isin(users, split.users)
    users, items = users[asked], items[asked]
    key = users * len(types.words) + types.of_item[items]
    if not len(key):
        return None
    pairs = np.unique(key)
    pairs = np.sort(rng.permutation(pairs)[:MOST])
    forms = (lambda words, _seed: words, shortened, reordered)
    texts = []
    for place, pair in enumerate(pairs.tolist()):
        words = types.words[pair % len(types.words)]
        texts.append(forms[place % len(forms)](words, seed) or words)
    row = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
    drawn = pairs[row] == key
    wanted = UserItems.of(row[drawn], items[drawn], len(pairs), len(catalog))
    asking = np.where(rng.random(len(pairs)) < UNKNOWN, -1, pairs // len(types.words))
    return SearchExamples(tuple(texts), asking, wanted, None, None, FROM_PURCHASES)


def examples_of_log(log: Queries, split: Split, seed: int, *, debiased: bool = True) -> SearchExamples | None:
    """Draw lists of the search log with a click after the cut; None if there are fewer than `LEAST_LISTS`."""
    part = log.between(split.cut, split.end)
    if not len(part):
        return None
    # One list: what one user (or nobody) got for one query at one time.
    span = int(part.time.max() - part.time.min()) // 600 + 1
    moment = (part.time - part.time.min()) // 600
    lists = (part.query.astype(np.int64) * (len(log.user_ids) + 1) + part.user + 1) * span + moment
    _, of_row = np.unique(lists, return_inverse=True)
    good = np.isin(part.event, [SEARCH_EVENTS.index(name) for name in (CLICK, CART, PURCHASE)]) & (part.item >= 0)
    clicked = np.unique(of_row[good])
    if len(clicked) < LEAST_LISTS:
        return None
    chosen = np.sort(np.random.default_rng([seed, 21]).permutation(clicked)[: 3 * MOST])
    place = np.minimum(np.searchsorted(chosen, of_row), len(chosen) - 1)
    mine = (chosen[place] == of_row) & (part.item >= 0)
    first = np.zeros(len(chosen), dtype=np.int64)
    first[place[mine][::-1]] = np.flatnonzero(mine)[::-1]
    wanted = UserItems.of(place[mine & good], part.item[mine & good], len(chosen), log.n_items)
    shown = UserItems.of(place[mine], part.item[mine], len(chosen), log.n_items)
    weight = None
    if debiased:
        of_click = ClickPropensities.estimate(log).weights(part.rank[mine & good])
        weight = np.zeros(len(wanted.keys), dtype=np.float32)
        keys = place[mine & good] * np.int64(log.n_items) + part.item[mine & good]
        np.maximum.at(weight, np.searchsorted(wanted.keys, keys), of_click.astype(np.float32))
    users = part.user[first].astype(np.int64)
    users = np.where(users < split.history.n_users, users, -1)
    texts = tuple(log.texts[part.query[first]].tolist())
    bought = mine & (part.event == SEARCH_EVENTS.index(PURCHASE))
    later = _bought_within_a_day(split, users, part.time[first])
    asked, items = (np.concatenate(both) for both in zip((place[bought], part.item[bought]), later, strict=True))
    judged = UserItems.of(asked, items, len(chosen), log.n_items)
    return SearchExamples(texts, users, wanted, shown, weight, FROM_LOG, judged)


def _bought_within_a_day(split: Split, users: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what known users bought within a day after their searches, wherever they found it: places of the searches and items.

    A search log has purchases of what its engine showed alone, and would favour whatever ranks as that engine did.
    """
    labels, width = split.labels, split.end - split.cut + 2 * DAY
    key = labels.user.astype(np.int64) * width + labels.time - split.cut
    order = np.argsort(key, kind="stable")
    asked = users * width + times - split.cut
    begin, end = np.searchsorted(key[order], asked), np.searchsorted(key[order], asked + DAY)
    counts = np.where(users >= 0, end - begin, 0)
    place = np.repeat(np.arange(len(users)), counts)
    within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place, labels.item[order[begin[place] + within]].astype(np.int64)
