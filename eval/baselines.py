"""The simple systems that ours must beat, each given its best setting.

| name | score of an item | source |
|---|---|---|
| popular | distinct buyers before now | |
| recent_popular | distinct buyers of the last days | |
| personal_frequency | how often the user bought it, older purchases count less | Hu and others (2020), SIGIR, arXiv 2006.00556 |
| item_knn | nearness to the items of the history | Deshpande and Karypis (2004), ACM TOIS 22(1) |
| ease | a linear autoencoder of histories | Steck (2019), WWW, arXiv 1905.03375 |
| als | product of user's and item's factors | Hu, Koren, Volinsky (2008), ICDM |

All answer with k items: where one has nothing to say, and in ties, the item with more buyers before now comes first, then the lower row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import DAY
from retrieval.candidates import Candidates
from retrieval.collaborative import ALS, EASE, ALSConfig, EASEConfig, ItemToItem, ItemToItemConfig
from retrieval.scorers import Weighting, batches, history_matrix
from retrieval.topk import top_k

if TYPE_CHECKING:
    from features.histories import Histories
    from features.interactions import Interactions


BASELINES = ("popular", "recent_popular", "personal_frequency", "item_knn", "ease", "als")


class BaselineSettings(BaseModel):
    """What each baseline is fitted with, by its name; `recent_popular` is the days that are counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recent_popular: float = Field(default=7.0, gt=0)
    personal_frequency: Weighting = Weighting(count="log", half_life=90.0)
    item_knn: ItemToItemConfig = ItemToItemConfig(keep=50)
    ease: EASEConfig = EASEConfig(weighting=Weighting(count="log", half_life=180.0), l2=30.0, keep=1000)
    als: ALSConfig = ALSConfig(factors=128, l2=10.0, alpha=0.3)


class BaselinesConfig(BaseModel):
    """Two settings of each baseline: `all` for the list of all items, `new` for the lists of new and of cold items.

    What foretells repeats best is not what finds new items best, and a baseline that was tuned for the one would be a straw man for the
    other. The defaults are what `eval.tune.tune_baselines` finds on Complete Journey, in the
    four weeks before its last four.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    all: BaselineSettings = BaselineSettings()
    new: BaselineSettings = BaselineSettings(
        recent_popular=56.0,
        ease=EASEConfig(weighting=Weighting(count="log"), l2=1000.0, keep=1000),
        als=ALSConfig(factors=64, l2=0.05, alpha=1.0),
    )


class Scores(Protocol):
    """Scores of the whole catalogue for each user: the part of `ItemScorer` that a list needs."""

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items), higher is better."""
        ...


@dataclass(frozen=True)
class Baseline:
    """A retriever over any scorer; see `Retriever`.

    Attributes
    ----------
    scorer: scores (b, n_items). buyers: distinct buyers of each item, int (n_items,), for the ties.
    """

    scorer: Scores
    buyers: np.ndarray

    @cached_property
    def _order(self) -> np.ndarray:
        return np.lexsort((np.arange(len(self.buyers)), -self.buyers))

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """The k best of the allowed items, seen ones included unless the mask leaves them out."""
        rows = np.empty((len(users), k), dtype=np.int64)
        scores = np.empty((len(users), k), dtype=np.float32)
        for part in batches(len(users)):
            # Columns by popularity: `top_k` gives ties to the lower one.
            dense = self.scorer.scores(users.take(part))[:, self._order]
            if allowed is not None:
                dense = np.where(allowed[..., self._order] if allowed.ndim == 1 else allowed[part][:, self._order], dense, -np.inf)
            columns, scores[part] = top_k(dense, k)
            rows[part] = np.where(columns >= 0, self._order[columns], -1)
        return Candidates(users, rows, scores)


@dataclass(frozen=True)
class ForAll:
    """The same scores for everybody, float32 (n_items,)."""

    score: np.ndarray

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items)."""
        return np.broadcast_to(self.score, (len(users), len(self.score)))


@dataclass(frozen=True)
class PersonalFrequency:
    """What the user bought, by the sum of the events' weights, aged; 0 for all else."""

    n_items: int
    weighting: Weighting

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items)."""
        return history_matrix(users, self.n_items, self.weighting).toarray()


def fit_baseline(name: str, history: Interactions, now: int, settings: BaselineSettings) -> Baseline:
    """One of `BASELINES`, fitted on the events before `now` (seconds since the epoch)."""
    history = history.between(None, now)
    return Baseline(_scorer(name, history, now, settings), distinct_buyers(history))


def _scorer(name: str, history: Interactions, now: int, settings: BaselineSettings) -> Scores:
    match name:
        case "popular":
            return ForAll(distinct_buyers(history).astype(np.float32))
        case "recent_popular":
            recent = history.between(now - int(settings.recent_popular * DAY), now)
            return ForAll(distinct_buyers(recent).astype(np.float32))
        case "personal_frequency":
            return PersonalFrequency(history.n_items, settings.personal_frequency)
        case "item_knn":
            return ItemToItem.fit(history, settings.item_knn)
        case "ease":
            return EASE.fit(history, settings.ease)
        case "als":
            return ALS.fit(history, settings.als)
        case _:
            raise ValueError(f"baseline {name!r} does not exist: one of {BASELINES}")


def distinct_buyers(log: Interactions) -> np.ndarray:
    """Users with an event on each item, int64 (n_items,)."""
    return np.bincount(np.unique(log.user.astype(np.int64) * log.n_items + log.item) % log.n_items, minlength=log.n_items)
