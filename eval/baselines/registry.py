"""The baselines that ours must beat, each with its best setting.

| name | score of an item | source |
|---|---|---|
| popular | distinct buyers before now | |
| recent_popular | distinct buyers of the last days | |
| personal_frequency | how often the user bought it, older purchases count less | Hu and others (2020), SIGIR |
| tifu_knn | the same by groups of baskets, with the mean of near users | the same |
| item_knn | similarity to the items of the history | Deshpande and Karypis (2004), ACM TOIS 22(1) |
| markov | transitions from the items of the last steps | Rendle and others (2010), WWW |
| ease | a linear autoencoder of histories | Steck (2019), WWW, arXiv 1905.03375 |
| ease_trend | EASE times the item's recent trend in sales | `retrieval.collaborative.popularity` |
| als | product of the user's and the item's factors | Hu, Koren, Volinsky (2008), ICDM |
| bpr | the same, learned from the order of pairs | Rendle and others (2009), UAI, arXiv 1205.2618 |
| text_knn | similarity of its text to those of the history, by an encoder as it was pretrained | |
| title_knn | item_knn, plus similarity of its title to those of the history, by TF-IDF | |
| id_towers | our own towers and training, on ids alone | `eval.baselines.id_towers` |

All return k items. Ties, and items without a score, go to the item with more buyers before now, then to the lower row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from eval.baselines.id_towers_config import IdTowersConfig
from eval.baselines.neighbours import TextKnn, TextKnnConfig, TifuConfig, TifuKnn, TitleKnn, title_vectors
from eval.baselines.simple import BPR, BPRConfig, ForAll, PersonalFrequency
from features.data.interactions import DAY
from features.storage.sorted_unique import sorted_unique
from retrieval.candidates import Candidates
from retrieval.collaborative.als import ALS, ALSConfig
from retrieval.collaborative.ease import EASE, EASEConfig
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.item_weights import ItemWeights
from retrieval.collaborative.markov import Markov, MarkovConfig
from retrieval.collaborative.popularity import Popularity, Trended
from retrieval.collaborative.scoring import Weighting, batches
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.data.histories import Histories
    from features.data.interactions import Interactions

# What `recsys evaluate` runs: the strongest of the cheap ones.
QUICK = ("popular", "recent_popular", "personal_frequency", "tifu_knn", "item_knn", "markov", "ease", "als")
NEED_TEXTS = ("text_knn", "title_knn")
NEED_TIMES = ("id_towers",)  # not for a log of steps, where SASRec is the same and better
BASELINES = (*QUICK, "ease_trend", "bpr", *NEED_TEXTS, *NEED_TIMES)


class AnsweringKnn(ItemToItemConfig):
    """Item-kNN settings with a separate weighting of the histories to recommend to.

    Attributes
    ----------
    answer : weighting of a history when scoring; None: that of the fit
    """

    answer: Weighting | None = None


class AnsweringEASE(EASEConfig):
    """EASE settings with a separate weighting of the histories to recommend to; see `AnsweringKnn`."""

    answer: Weighting | None = None


class TitleKnnConfig(AnsweringKnn):
    """Settings of `TitleKnn`.

    Attributes
    ----------
    share : weight of the titles' cosine relative to the neighbours by buyers
    """

    share: float = Field(default=0.3, ge=0)


_EASE = AnsweringEASE(weighting=Weighting(count="log", half_life=180.0), l2=30.0, keep=1000)
_EASE_NEW = AnsweringEASE(weighting=Weighting(count="log"), l2=1000.0, keep=1000)


class BaselineSettings(BaseModel):
    """The settings of each baseline, by its name; `recent_popular` is the number of days that count."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recent_popular: float = Field(default=7.0, gt=0)
    personal_frequency: Weighting = Weighting(count="log", half_life=90.0)
    tifu_knn: TifuConfig = TifuConfig()
    item_knn: AnsweringKnn = AnsweringKnn(keep=20, answer=Weighting(half_life=180.0))
    markov: MarkovConfig = MarkovConfig(decay=0.5, source=0.0)
    ease: AnsweringEASE = _EASE
    ease_trend: AnsweringEASE = _EASE
    als: ALSConfig = ALSConfig(factors=128, l2=10.0, alpha=0.3)
    bpr: BPRConfig = BPRConfig()
    text_knn: TextKnnConfig = TextKnnConfig()
    title_knn: TitleKnnConfig = TitleKnnConfig(keep=50)
    id_towers: IdTowersConfig = IdTowersConfig()


class BaselinesConfig(BaseModel):
    """Which baselines are evaluated, and two settings of each.

    What predicts repeats best is not what finds new items best: a baseline tuned for one would be a straw man for the
    other. The defaults are what `eval.baselines.tune.tune_baselines` finds on Complete Journey, in the four weeks
    before its last four.

    Attributes
    ----------
    names : the baselines that are evaluated; `text_knn` and `title_knn` only where there are texts
    all : settings for the list of all items
    new : settings for the lists of new, few-buyer, cold and unseen items
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    names: tuple[str, ...] = QUICK
    all: BaselineSettings = BaselineSettings()
    new: BaselineSettings = BaselineSettings(
        recent_popular=56.0,
        tifu_knn=TifuConfig(group=3, within=1.0, across=0.6),
        item_knn=AnsweringKnn(keep=100),
        markov=MarkovConfig(source=0.0),
        ease=_EASE_NEW,
        ease_trend=_EASE_NEW,
        als=ALSConfig(factors=64, l2=0.05, alpha=1.0),
    )

    @field_validator("names")
    @classmethod
    def _known_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - set(BASELINES))
        if unknown:
            raise ValueError(f"there is no baseline {unknown[0]!r}: choose among {', '.join(BASELINES)}")
        return value


class Scores(Protocol):
    """Scores of the whole catalogue for each user: the part of `ItemScorer` that a list needs."""

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items), higher is better."""
        ...


@dataclass(frozen=True)
class Baseline:
    """A retriever over any scorer; see `Retriever`.

    Attributes
    ----------
    scorer : scores the whole catalogue
    buyers : int (n_items,), distinct buyers of each item, which break ties
    """

    scorer: Scores
    buyers: np.ndarray

    @cached_property
    def _order(self) -> np.ndarray:
        return np.lexsort((np.arange(len(self.buyers)), -self.buyers))

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return the k best of the allowed items, seen ones included unless the mask leaves them out."""
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
class ItemTexts:
    """The texts that `text_knn` and `title_knn` need.

    Attributes
    ----------
    titles : n_items, the title of each item
    vectors : float (n_items, dim), of the items' texts by a pretrained encoder that was not tuned
    """

    titles: Sequence[str]
    vectors: np.ndarray


@dataclass
class Fitting:
    """Fits baselines on one history; work that several settings share is done once.

    Attributes
    ----------
    history : events before `now`
    now : seconds since the epoch
    texts : None where there are none
    """

    history: Interactions
    now: int
    texts: ItemTexts | None = None
    _cache: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def fit(self, name: str, settings: BaselineSettings) -> Baseline:
        """Fit one of `BASELINES`.

        Raises
        ------
        ValueError
            There is no such baseline, or it needs texts and there are none.
        """
        if name not in BASELINES:
            raise ValueError(f"baseline {name!r} does not exist: one of {BASELINES}")
        if name == "popular":
            return Baseline(ForAll(self.buyers.astype(np.float32)), self.buyers)
        fitters: dict[str, Callable[[Any], Scores]] = {
            "recent_popular": self._recent_popular,
            "personal_frequency": lambda weighting: PersonalFrequency(self.history.n_items, weighting),
            "tifu_knn": lambda config: TifuKnn.fit(self.history, config),
            "item_knn": self._item_knn,
            "markov": lambda config: Markov.fit(self.history, config),
            "ease": self._ease,
            "ease_trend": lambda config: Trended(self._ease(config), Popularity.fit(self.history, self.now)),
            "als": lambda config: ALS.fit(self.history, config),
            "bpr": lambda config: BPR.fit(self.history, config),
            "text_knn": lambda config: TextKnn.of(self._item_texts.vectors, config),
            "title_knn": self._title_knn,
            "id_towers": self._id_towers,
        }
        return Baseline(fitters[name](getattr(settings, name)), self.buyers)

    @cached_property
    def buyers(self) -> np.ndarray:
        """Distinct buyers of each item, int64 (n_items,)."""
        return distinct_buyers(self.history)

    @property
    def _item_texts(self) -> ItemTexts:
        if self.texts is None:
            raise ValueError(f"{NEED_TEXTS} need the items' texts: pass `texts`, or leave them out")
        return self.texts

    @cached_property
    def _titles(self) -> tuple[Any, np.ndarray]:
        return title_vectors(self._item_texts.titles)

    def _recent_popular(self, days: float) -> ForAll:
        recent = self.history.between(self.now - int(days * DAY), self.now)
        return ForAll(distinct_buyers(recent).astype(np.float32))

    def _fit_weights(self, kind: type[ItemToItem] | type[EASE], config: Any, answer: Weighting | None) -> ItemWeights:
        """Return the fitted weights; the last fit is cached, so settings that differ only in `answer` share it."""
        last, model = self._cache.get(kind.__name__, (None, None))
        if last != config:
            model = kind.fit(self.history, config)
            self._cache[kind.__name__] = (config, model)
        return ItemWeights(model.weights, answer or config.weighting)

    def _item_knn(self, config: AnsweringKnn) -> ItemWeights:
        return self._fit_weights(ItemToItem, _subconfig(ItemToItemConfig, config), config.answer)

    def _ease(self, config: AnsweringEASE) -> ItemWeights:
        return self._fit_weights(EASE, _subconfig(EASEConfig, config), config.answer)

    def _id_towers(self, config: IdTowersConfig) -> Scores:
        from eval.baselines.id_towers import IdTowers

        return IdTowers.fit(self.history, config)

    def _title_knn(self, config: TitleKnnConfig) -> TitleKnn:
        titles, title_of = self._titles
        return TitleKnn(self._item_knn(config), titles, title_of, config.share)


def _subconfig(kind: type[BaseModel], config: BaseModel) -> Any:
    """Return the fields of `config` that `kind` has."""
    return kind(**{name: getattr(config, name) for name in kind.model_fields})


def fit_baseline(name: str, history: Interactions, now: int, settings: BaselineSettings, texts: ItemTexts | None = None) -> Baseline:
    """Fit one of `BASELINES` on the events before `now` (seconds since the epoch); see `Fitting.fit`."""
    return Fitting(history.between(None, now), now, texts).fit(name, settings)


def distinct_buyers(log: Interactions) -> np.ndarray:
    """Return the number of users with an event on each item, int64 (n_items,)."""
    return np.bincount(sorted_unique(log.user.astype(np.int64) * log.n_items + log.item) % log.n_items, minlength=log.n_items)
