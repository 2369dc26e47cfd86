"""Gives each baseline its best setting, so that ours does not win against a straw man."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.baselines import Baseline, BaselinesConfig, distinct_buyers, fit_scorer
from eval.judge import EvaluateConfig, Judge
from eval.metrics import ndcg
from eval.truth import Truth
from features.interactions import DAY
from features.split import Split
from retrieval.collaborative import ALSConfig, ItemToItemConfig
from retrieval.scorers import Weighting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eval.judge import Progress
    from features.interactions import Interactions

Grid = dict[str, tuple[object, ...]]


def default_grid() -> Grid:
    """What is tried for each baseline; the values of a field of `BaselinesConfig`."""
    log, ease = Weighting(count="log"), BaselinesConfig().ease
    return {
        "recent_popular": (7.0, 14.0, 28.0, 56.0),
        "personal_frequency": tuple(Weighting(count="log", half_life=days) for days in (15, 30, 60, 90, 180, None)),
        "item_knn": tuple(ItemToItemConfig(measure=measure, keep=keep) for measure in ("cosine", "tfidf") for keep in (20, 50, 200)),
        "ease": tuple(
            ease.model_copy(update={"weighting": weighting, "l2": l2})
            for weighting, l2 in ((log, 100.0), (log, 250.0), (log, 500.0), (Weighting(), 500.0))
        ),
        "als": tuple(
            ALSConfig(weighting=log, factors=factors, l2=l2, alpha=alpha)
            for factors, l2 in ((64, 0.05), (128, 10.0))
            for alpha in (0.3, 1.0)
        ),
    }


def tune_baselines(
    history: Interactions,
    cut: int,
    days: float,
    max_users: int = 1000,
    grid: Mapping[str, Sequence[object]] | None = None,
    progress: Progress | None = None,
) -> BaselinesConfig:
    """The settings with the best NDCG@10 over all items in the `days` before the cut, fitted on what lies before those.

    `max_users`: drawn at random, the same ones for each setting. In a tie the setting that stands first is taken. Nothing after the cut is
    seen. `fit_baselines` with the answer then fits on the whole history.

    Raises
    ------
    DataError: the history holds nothing before those days, or no purchase in them.
    """
    grid = default_grid() if grid is None else grid
    split = Split.by_time(history.between(None, cut), cut - int(days * DAY), days)
    judge = Judge(Truth.of(split, max_users), EvaluateConfig(), lambda _label, _done, _total: None)
    relevant, buyers = judge.truth.relevant("all"), distinct_buyers(split.history)
    config, done, total = BaselinesConfig(), 0, sum(len(options) for options in grid.values())
    for name, options in grid.items():
        quality = []
        for option in options:
            trial = config.model_copy(update={name: option})
            baseline = Baseline(fit_scorer(name, split.history, split.cut, trial), buyers)
            quality.append(np.nanmean(ndcg(judge.ask(baseline.retrieve, "all", 10).rows, relevant, 10)))
            done += 1
            if progress:
                progress(f"tuning {name}", done, total)
        config = config.model_copy(update={name: options[int(np.argmax(quality))]})
    return config
