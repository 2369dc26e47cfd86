"""The simple systems that ours must beat, each given its best setting.

| name | score of an item | source |
|---|---|---|
| popular | distinct buyers before now | |
| recent_popular | distinct buyers of the last days | |
| personal_frequency | how often the user bought it, older purchases count less | Hu and others (2020), SIGIR, arXiv 2006.00556 |
| tifu_knn | the same by groups of baskets, with the mean of near users | the same |
| item_knn | nearness to the items of the history | Deshpande and Karypis (2004), ACM TOIS 22(1) |
| markov | what follows the items of the last steps | Rendle and others (2010), WWW |
| ease | a linear autoencoder of histories | Steck (2019), WWW, arXiv 1905.03375 |
| ease_trend | EASE times how well the item sells of late | `retrieval.collaborative.popularity` |
| als | product of user's and item's factors | Hu, Koren, Volinsky (2008), ICDM |
| bpr | the same, learned from the order of pairs | Rendle and others (2009), UAI, arXiv 1205.2618 |
| text_knn | nearness of its text to those of the history, by an encoder as it was pretrained | |
| title_knn | item_knn, plus nearness of its title to those of the history, by TF-IDF | |
| id_towers | our own towers and training, on ids alone | `eval.baselines.id_towers` |

All answer with k items: where one has nothing to say, and in ties, the item with more buyers before now comes first, then the lower row.
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

# What `recsys evaluate` takes the time for: the strongest of those that are cheap.
QUICK = ("popular", "recent_popular", "personal_frequency", "tifu_knn", "item_knn", "markov", "ease", "als")
NEED_TEXTS = ("text_knn", "title_knn")
NEED_TIMES = ("id_towers",)  # not for a log of steps: there SASRec is the same and better
BASELINES = (*QUICK, "ease_trend", "bpr", *NEED_TEXTS, *NEED_TIMES)


class AnsweringKnn(ItemToItemConfig):
    """`answer`: how a history counts when it is answered; None: as in the fit."""

    answer: Weighting | None = None


class AnsweringEASE(EASEConfig):
    """`answer`: how a history counts when it is answered; None: as in the fit."""

    answer: Weighting | None = None


class TitleKnnConfig(AnsweringKnn):
    """`share`: what a title's nearness counts beside the buyers'."""

    share: float = Field(default=0.3, ge=0)


_EASE = AnsweringEASE(weighting=Weighting(count="log", half_life=180.0), l2=30.0, keep=1000)
_EASE_NEW = AnsweringEASE(weighting=Weighting(count="log"), l2=1000.0, keep=1000)


class BaselineSettings(BaseModel):
    """What each baseline is fitted with, by its name; `recent_popular` is the days that are counted."""

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
    """Two settings of each baseline: `all` for the list of all items, `new` for the lists of new, cold and unseen items.

    What foretells repeats best is not what finds new items best, and a baseline that was tuned for the one would be a straw man for the
    other. The defaults are what `eval.baselines.tune.tune_baselines` finds on Complete Journey, in the four weeks
    before its last four. `names` are
    judged; of these, `text_knn` and `title_knn` only where there are texts.
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
class ItemTexts:
    """What the baselines that read are given.

    Attributes
    ----------
    titles: of each item, n_items. vectors: of the items' texts by a pretrained encoder that was not tuned, float (n_items, dim).
    """

    titles: Sequence[str]
    vectors: np.ndarray


@dataclass
class Fitting:
    """Fits baselines on one history; what several settings of one have in common is made once.

    Attributes
    ----------
    history: events before `now`. now: seconds since the epoch. texts: None where there are none.
    """

    history: Interactions
    now: int
    texts: ItemTexts | None = None
    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def fit(self, name: str, settings: BaselineSettings) -> Baseline:
        """One of `BASELINES`.

        Raises
        ------
        ValueError: there is no such baseline, or it needs texts and there are none.
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
            "text_knn": lambda config: TextKnn.of(self._read.vectors, config),
            "title_knn": self._title_knn,
            "id_towers": self._id_towers,
        }
        return Baseline(fitters[name](getattr(settings, name)), self.buyers)

    @cached_property
    def buyers(self) -> np.ndarray:
        """Distinct buyers of each item, int64 (n_items,)."""
        return distinct_buyers(self.history)

    @property
    def _read(self) -> ItemTexts:
        if self.texts is None:
            raise ValueError(f"{NEED_TEXTS} need the items' texts: pass `texts`, or leave them out")
        return self.texts

    @cached_property
    def _titles(self) -> tuple[Any, np.ndarray]:
        return title_vectors(self._read.titles)

    def _recent_popular(self, days: float) -> ForAll:
        recent = self.history.between(self.now - int(days * DAY), self.now)
        return ForAll(distinct_buyers(recent).astype(np.float32))

    def _once(self, kind: type[ItemToItem] | type[EASE], config: Any, answer: Weighting | None) -> ItemWeights:
        """The last fit is kept: settings that differ in the answer alone share it."""
        last, model = self._kept.get(kind.__name__, (None, None))
        if last != config:
            model = kind.fit(self.history, config)
            self._kept[kind.__name__] = (config, model)
        return ItemWeights(model.weights, answer or config.weighting)

    def _item_knn(self, config: AnsweringKnn) -> ItemWeights:
        return self._once(ItemToItem, _part(ItemToItemConfig, config), config.answer)

    def _ease(self, config: AnsweringEASE) -> ItemWeights:
        return self._once(EASE, _part(EASEConfig, config), config.answer)

    def _id_towers(self, config: IdTowersConfig) -> Scores:
        from eval.baselines.id_towers import IdTowers

        return IdTowers.fit(self.history, config)

    def _title_knn(self, config: TitleKnnConfig) -> TitleKnn:
        titles, title_of = self._titles
        return TitleKnn(self._item_knn(config), titles, title_of, config.share)


def _part(kind: type[BaseModel], config: BaseModel) -> Any:
    return kind(**{name: getattr(config, name) for name in kind.model_fields})


def fit_baseline(name: str, history: Interactions, now: int, settings: BaselineSettings, texts: ItemTexts | None = None) -> Baseline:
    """One of `BASELINES`, fitted on the events before `now` (seconds since the epoch); see `Fitting.fit`."""
    return Fitting(history.between(None, now), now, texts).fit(name, settings)


def distinct_buyers(log: Interactions) -> np.ndarray:
    """Users with an event on each item, int64 (n_items,)."""
    return np.bincount(sorted_unique(log.user.astype(np.int64) * log.n_items + log.item) % log.n_items, minlength=log.n_items)
