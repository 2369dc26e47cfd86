"""Lists of items that the log says little of, from which the ranking learns to judge a product by its words.

Items with few buyers are ranked among themselves. Few of them are bought in a window, so further lists are cold by
design: a random share of the items keeps at most a few of its purchases in the log and its text, and everything that is
computed from a log, the users' histories included, is computed from what is left.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.user_items import UserItems
from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import FEW_BUYERS
from features.storage.sorted_unique import sorted_unique
from ranking.cross_encoder.trainer import TrainingPairs
from recsys.training.few_buyers.window_retriever import WindowRetriever, WindowUsers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.data.interactions import Interactions
    from features.data.split import Split
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

_log = logging.getLogger(__name__)
MOST = 200  # candidates a user: these lists are short of items that a user could like


def few_buyer_lists(lists: Sequence[TrainingPairs]) -> TrainingPairs | None:
    """Return the labelled lists of all kinds of `few_buyer_users` as one; None without any."""
    _log.info("lists of items with few buyers: %s users", " and ".join(str(len(part.labels)) for part in lists) or "no")
    return TrainingPairs.joined(lists) if lists else None


def few_buyer_users(
    job: TrainingJob, models: TextModels, split: Split, found: WindowRetriever, most: int | None = None
) -> Iterator[WindowUsers]:
    """Yield the users of each kind of list: who bought an item with few buyers in the window, one kind at a time, for a retriever is large.

    Parameters
    ----------
    found : retrieval over the split's whole history.
    most : users of each kind of list, at most; None for the base booster's number.
    """
    config = job.settings.gbdt
    most = config.few_buyer_users if most is None else min(most, config.few_buyer_users)
    if not most:
        return
    rng = np.random.default_rng([job.seed, len(split.labels)])
    whole = GroundTruth.over(split, split.users)
    buyers = whole.relevant("few").user
    yield from _users(found, split, whole, _Users.of(buyers, len(whole.users), most, rng), whole.few)
    if config.hidden_items:
        yield from _hidden(job, models, whole, most, rng)


def without_purchases(log: Interactions, hidden: np.ndarray, rng: np.random.Generator) -> Interactions:
    """Return a log in which each of the `hidden` items, bool (n_items,), keeps 0 to `FEW_BUYERS` - 1 events, drawn at random."""
    order = rng.permutation(len(log))
    order = order[np.argsort(log.item[order], kind="stable")]
    place = np.empty(len(log), dtype=np.int64)  # of each event among its item's, in random order
    place[order] = np.arange(len(log)) - np.searchsorted(log.item[order], log.item[order])
    kept = rng.integers(FEW_BUYERS, size=log.n_items)
    return log.where(~hidden[log.item] | (place < kept[log.item]))


def _hidden(job: TrainingJob, models: TextModels, whole: GroundTruth, most: int, rng: np.random.Generator) -> Iterator[WindowUsers]:
    """Yield users who bought a hidden item for the first time, for lists of hidden items and items with few buyers."""
    split = whole.split
    hidden = rng.random(split.history.n_items) < job.settings.gbdt.hidden_items
    left = replace(split, history=without_purchases(split.history, hidden, rng))
    bought = whole.bought
    known = np.isin(whole.users, left.users)
    first = hidden[bought.item] & ~whole.seen.has(bought.user, bought.item) & known[bought.user]
    users = _Users.of(bought.user[first], int(known.sum()), most, rng)
    if not len(users.chosen):
        return
    vectors = models.vectors
    if models.text_vectors is not None:  # without what the towers have learned of the items themselves
        hidden_texts = np.isin(np.arange(len(vectors)), models.text_of[hidden])
        vectors = np.where(hidden_texts[:, None], models.text_vectors, vectors)
    found = WindowRetriever.of(job, models, left.history, split.cut, vectors)
    yield from _users(found, left, whole, users, hidden | whole.few)


@dataclass(frozen=True)
class _Users:
    """Users who bought some of a list's items, as sorted places in `GroundTruth.users`, and how many users each stands for."""

    chosen: np.ndarray
    stands_for: float

    @classmethod
    def of(cls, buyers: np.ndarray, of_users: int, most: int, rng: np.random.Generator) -> _Users:
        """Draw `most` of the buyers, each of whom may stand there several times, out of `of_users` who could have bought."""
        distinct = sorted_unique(buyers)
        chosen = distinct if len(distinct) <= most else np.sort(rng.choice(distinct, most, replace=False))
        return cls(chosen, of_users / max(len(distinct), 1))


def _users(found: WindowRetriever, split: Split, whole: GroundTruth, of: _Users, items: np.ndarray) -> Iterator[WindowUsers]:
    """Yield some users, for lists of items that they had not bought; nothing without users.

    Parameters
    ----------
    split : its history is what is known of the users.
    whole : what they bought before and after the cut, nothing hidden.
    items : what the lists may hold, bool (n_items,).
    """
    users = of.chosen
    if not len(users):
        return
    bought, chosen = whole.bought, np.isin(whole.bought.user, users)
    of_users = UserItems.of(np.searchsorted(users, bought.user[chosen]), bought.item[chosen], len(users), bought.n_items)
    allowed = items & ~whole.seen.mask(users)
    yield WindowUsers(found, split.histories(whole.users[users]), of_users, allowed, of.stands_for, MOST)
