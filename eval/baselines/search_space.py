"""The search space of each baseline's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from eval.baselines.id_towers_config import IdTowersConfig
from eval.baselines.neighbours import TextKnnConfig, TifuConfig
from eval.baselines.registry import NEED_TIMES, AnsweringEASE, AnsweringKnn, TitleKnnConfig
from eval.baselines.simple import BPRConfig
from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.markov import MarkovConfig
from retrieval.collaborative.scoring import Weighting

if TYPE_CHECKING:
    from pydantic import BaseModel

Updates = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Rounds:
    """A search in rounds: each tries its updates of the best setting so far, which stays if none is better.

    Each list has a best setting of its own.
    """

    start: BaseModel
    rounds: Sequence[Updates]


# By field of `BaselineSettings`: settings to try, or a search in rounds.
SearchSpace = Mapping[str, "Sequence[object] | Rounds"]


def default_search_space(names: Sequence[str], ordered: bool = False) -> SearchSpace:
    """Return the search space of these baselines.

    Parameters
    ----------
    ordered : whether the log's times carry only an order. A day is then a step and most users buy an item once: short
        half-lives and models of the next item get more tries, those of repeats and of the last weeks fewer
    """
    lives = (1.0, 2.0, 5.0, 10.0) if ordered else (15.0, 30.0, 90.0, 180.0)
    answers: Updates = [{"answer": Weighting(count=count, half_life=life)} for count in ("once", "log") for life in (*lives, None)]
    space: dict[str, Sequence[object] | Rounds] = {
        "recent_popular": (1.0, 2.0, 3.0, 7.0) if ordered else (7.0, 14.0, 28.0, 56.0),
        "personal_frequency": tuple(Weighting(count="log", half_life=life) for life in (90.0, 15.0, 30.0, 60.0, 120.0, 180.0, None)),
        "tifu_knn": _tifu(ordered),
        "item_knn": Rounds(AnsweringKnn(keep=50), [*_neighbours(), answers]),
        "markov": _markov(ordered),
        "ease": _ease(ordered, answers),
        "ease_trend": _ease(ordered, answers),
        "als": Rounds(ALSConfig(factors=64, l2=0.05, alpha=1.0), _als()),
        "bpr": Rounds(BPRConfig(), [_combine(factors=(64, 128), l2=(0.01, 0.03)), _combine(epochs=(50, 200))]),
        "text_knn": _text(lives),
        "title_knn": Rounds(TitleKnnConfig(keep=50), [*_neighbours(), answers, _combine(share=(0.05, 0.1, 0.2, 0.3, 0.5, 1.0))]),
        "id_towers": (IdTowersConfig(), IdTowersConfig(epochs=12)),  # its other settings are those of ours
    }
    return {name: options for name, options in space.items() if name in names and not (ordered and name in NEED_TIMES)}


def _combine(**fields: Sequence[object]) -> Updates:
    """Return every combination of the fields' values."""
    return [dict(zip(fields, values, strict=True)) for values in product(*fields.values())]


def _neighbours() -> list[Updates]:
    return [_combine(measure=("cosine", "tfidf", "bm25"), keep=(50,)), _combine(keep=(20, 100, 200, 500))]


def _tifu(ordered: bool) -> Rounds:
    if ordered:  # a history of eight says little; near users count more
        start = TifuConfig(group=3, within=0.7, across=0.7, own=0.2, measure="cosine")
        return Rounds(
            start, [_combine(measure=("euclidean", "cosine"), neighbours=(100, 300)), _combine(across=(0.4, 0.9), within=(0.5, 0.9))]
        )
    # Around the settings of the paper's section 5.
    return Rounds(
        TifuConfig(),
        [
            _combine(within=(0.9, 1.0), across=(0.5, 0.8, 0.95)),
            _combine(group=(3, 10)),
            _combine(own=(0.3, 0.9)),
            [{"neighbours": 100}, {"measure": "cosine"}],
        ],
    )


def _markov(ordered: bool) -> Rounds:
    # The plain chain, then a correction for popular items, then a longer reach.
    reaches = _combine(reach=(3, 10), decay=(0.5, 0.65, 0.8, 0.9)) if ordered else _combine(reach=(3,), decay=(0.5, 0.8))
    return Rounds(MarkovConfig(reach=1, source=0.5), [_combine(source=(0.0, 1.0)), _combine(target=(0.1, 0.25, 0.5, 0.75)), reaches])


def _ease(ordered: bool, answers: Updates) -> Rounds:
    log, aged, once = Weighting(count="log"), Weighting(count="log", half_life=180.0), Weighting()
    if ordered:  # many items with few buyers each, and the last ones predict most
        start = AnsweringEASE(weighting=once, l2=300.0, keep=1000)
        return Rounds(start, [_combine(l2=(30.0, 100.0, 1000.0)), answers, _combine(max_items=(10_000,))])
    # Little regularisation favours repeats, much of it finds new items.
    start = AnsweringEASE(weighting=aged, l2=30.0, keep=1000)
    strengths = [*_combine(weighting=(log, aged), l2=(3.0, 10.0, 30.0, 300.0, 1000.0)), *_combine(weighting=(once,), l2=(500.0,))]
    return Rounds(start, [strengths, answers])


def _als() -> list[Updates]:
    return [
        [{"factors": factors, "l2": l2, "alpha": alpha} for factors, l2 in ((64, 0.05), (128, 10.0)) for alpha in (0.3, 1.0)],
        _combine(l2=(1.0, 30.0)),
        _combine(factors=(256,)),
    ]


def _text(lives: Sequence[float]) -> tuple[TextKnnConfig, ...]:
    means = [TextKnnConfig(weighting=Weighting(count=count, half_life=life)) for count in ("once", "log") for life in (*lives, None)]
    return (*means, *(TextKnnConfig(pool="max", last=last) for last in (1, 3, 10)))
