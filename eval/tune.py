"""Gives each baseline its best settings, so that ours does not win against straw men, and judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.baselines import BASELINES, BaselinesConfig, BaselineSettings, fit_baseline
from eval.evaluate import System, evaluate
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
    from eval.result import Report
    from features.interactions import Interactions

Grid = dict[str, tuple[object, ...]]


def default_grid() -> Grid:
    """What is tried for each baseline; the values of a field of `BaselineSettings`."""
    log, aged, once = Weighting(count="log"), Weighting(count="log", half_life=180), Weighting()
    ease = BaselineSettings().ease
    # Little regularisation keeps to what was bought, much of it finds what is new.
    strengths = [(weighting, l2) for weighting in (log, aged) for l2 in (10.0, 30.0, 300.0, 1000.0)] + [(once, 500.0)]
    return {
        "recent_popular": (7.0, 14.0, 28.0, 56.0),
        "personal_frequency": tuple(Weighting(count="log", half_life=days) for days in (90, 15, 30, 60, 180, None)),
        "item_knn": tuple(ItemToItemConfig(measure=measure, keep=keep) for measure in ("cosine", "tfidf") for keep in (20, 50, 200)),
        "ease": tuple(ease.model_copy(update={"weighting": weighting, "l2": l2}) for weighting, l2 in strengths),
        "als": tuple(ALSConfig(factors=f, l2=l2, alpha=alpha) for f, l2 in ((64, 0.05), (128, 10.0)) for alpha in (0.3, 1.0)),
    }


def tune_baselines(
    history: Interactions,
    cut: int,
    days: float,
    max_users: int = 1000,
    grid: Mapping[str, Sequence[object]] | None = None,
    progress: Progress | None = None,
) -> BaselinesConfig:
    """The settings with the best NDCG@10 in the `days` before the cut, fitted on what lies before those; for each list its own.

    `max_users`: drawn at random, the same ones for each setting. In a tie the setting that stands first is taken. Nothing after the cut is
    seen. `judge_baselines` with the answer then fits on the whole history.

    Raises
    ------
    DataError: the history holds nothing before those days, or no purchase in them.
    """
    grid = default_grid() if grid is None else grid
    split = Split.by_time(history.between(None, cut), cut - int(days * DAY), days)
    judge = Judge(Truth.of(split, max_users), EvaluateConfig(), lambda _label, _done, _total: None)
    done, total = 0, sum(len(options) for options in grid.values())
    chosen: dict[str, dict[str, object]] = {"all": {}, "new": {}}
    for name, options in grid.items():
        quality = np.zeros((2, len(options)))
        for i, option in enumerate(options):
            baseline = fit_baseline(name, split.history, split.cut, BaselineSettings().model_copy(update={name: option}))
            for j, kind in enumerate(chosen):
                values = ndcg(judge.ask(baseline.retrieve, kind, 10).rows, judge.truth.relevant(kind), 10)
                quality[j, i] = np.nansum(values)
            done += 1
            if progress:
                progress(f"tuning {name}", done, total)
        for kind, best in zip(chosen, quality.argmax(axis=1), strict=True):
            chosen[kind][name] = options[best]
    return BaselinesConfig(**{kind: BaselineSettings().model_copy(update=settings) for kind, settings in chosen.items()})


def judge_baselines(
    split: Split,
    settings: BaselinesConfig | None = None,
    config: EvaluateConfig | None = None,
    vectors: np.ndarray | None = None,
    progress: Progress | None = None,
) -> dict[str, Report]:
    """The report of every baseline, fitted on the split's history; one is held in memory at a time. See `evaluate` for the parameters."""
    settings = settings or BaselinesConfig()
    reports = {}
    for name in BASELINES:
        best = fit_baseline(name, split.history, split.cut, settings.all)
        same = getattr(settings.all, name, None) == getattr(settings.new, name, None)
        explore = best if same else fit_baseline(name, split.history, split.cut, settings.new)

        def told(label: str, done: int, total: int, name: str = name) -> None:
            if progress:
                progress(f"{name}, {label}", done, total)

        reports[name] = evaluate(System(best.retrieve, explore.retrieve), split, config, vectors, told)
    return reports
