"""Gives each baseline its best settings, so that ours does not win against straw men, and judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eval.baselines.registry import NEED_TEXTS, QUICK, BaselinesConfig, BaselineSettings, Fitting
from eval.baselines.search_space import Rounds, default_search_space
from eval.metrics.lists import ndcg
from eval.protocol.evaluate import System, evaluate
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from features.data.interactions import DAY
from features.data.split import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eval.baselines.registry import ItemTexts
    from eval.baselines.search_space import SearchSpace
    from eval.protocol.report import Report
    from eval.protocol.runner import Progress

KINDS = ("all", "new")


def tune_baselines(
    split: Split,
    grid: SearchSpace | None = None,
    texts: ItemTexts | None = None,
    max_users: int | None = None,
    progress: Progress | None = None,
) -> BaselinesConfig:
    """The settings with the best NDCG@10 in the stretch before the split's cut that is as long as its test, fitted on what lies before it.

    For each list its own. Nothing after the cut is seen; `judge_baselines` with the answer then fits on the whole history.

    Parameters
    ----------
    grid: what is tried; None: `default_grid` of the baselines in `QUICK`. Those that need texts are passed over where there are none.
    max_users: drawn at random, the same ones for each setting; None: 1,000, or 3,000 of a log of steps, where each has but a purchase or so
    to foretell. In a tie the setting that stands first is taken.

    Raises
    ------
    DataError: the history holds nothing before that stretch, or no purchase in it.
    """
    days = (split.end - split.cut) / DAY
    past = Split.by_time(split.history, split.cut - int(days * DAY), days)
    grid = default_search_space(QUICK, split.history.ordinal) if grid is None else grid
    grid = {name: options for name, options in grid.items() if texts is not None or name not in NEED_TEXTS}
    judge = EvaluationRunner(
        GroundTruth.of(past, max_users or (3000 if split.history.ordinal else 1000)), EvaluateConfig(), lambda _label, _done, _total: None
    )
    fitting = Fitting(past.history, past.cut, texts)
    done, total = 0, sum(_tries(options) for options in grid.values())
    chosen: dict[str, dict[str, object]] = {kind: {} for kind in KINDS}
    for name, options in grid.items():

        def quality(option: object, name: str = name) -> np.ndarray:
            baseline = fitting.fit(name, BaselineSettings().model_copy(update={name: option}))
            lists = ((kind, judge.ask(baseline.retrieve, kind, 10).rows) for kind in KINDS)
            return np.array([np.nansum(ndcg(rows, judge.truth.relevant(kind), 10)) for kind, rows in lists])

        for kind, best in zip(KINDS, _search(options, quality), strict=True):
            chosen[kind][name] = best
        done += _tries(options)
        if progress:
            progress(f"tuned {name}", done, total)
    best = {kind: BaselineSettings().model_copy(update=settings) for kind, settings in chosen.items()}
    return BaselinesConfig(names=("popular", *grid), **best)


def _tries(options: Sequence[object] | Rounds) -> int:
    return 1 + sum(map(len, options.rounds)) if isinstance(options, Rounds) else len(options)


def _search(options: Sequence[object] | Rounds, quality: Callable[[object], np.ndarray]) -> list[object]:
    """The best option for each of `KINDS`; `quality` of one is (len(KINDS),). Of equal ones the first that was tried."""
    if not isinstance(options, Rounds):
        return [options[i] for i in np.stack([quality(option) for option in options]).argmax(axis=0)]
    start: Any = options.start
    known = {start: quality(start)}
    best = [start] * len(KINDS)
    for updates in options.rounds:
        for i in range(len(KINDS)):
            tried = [best[i].model_copy(update=dict(update)) for update in updates]
            known |= {option: quality(option) for option in tried if option not in known}
        # What one list tried may be what is best for the other.
        best = [max(known, key=lambda option, i=i: known[option][i]) for i in range(len(KINDS))]
    return best


def judge_baselines(
    split: Split,
    settings: BaselinesConfig | None = None,
    config: EvaluateConfig | None = None,
    vectors: np.ndarray | None = None,
    progress: Progress | None = None,
    texts: ItemTexts | None = None,
) -> dict[str, Report]:
    """The reports of the baselines that the settings name, fitted on the split's history. See `evaluate` for the parameters.

    Those that need texts are passed over where there are none.
    """
    settings = settings or BaselinesConfig()
    reports = {}
    for name in settings.names:
        if texts is None and name in NEED_TEXTS:
            continue
        fitting = Fitting(split.history, split.cut, texts)
        best = fitting.fit(name, settings.all)
        same = getattr(settings.all, name, None) == getattr(settings.new, name, None)
        explore = best if same else fitting.fit(name, settings.new)

        def told(label: str, done: int, total: int, name: str = name) -> None:
            if progress:
                progress(f"{name}, {label}", done, total)

        reports[name] = evaluate(System(best.retrieve, explore.retrieve), split, config, vectors, told)
    return reports
