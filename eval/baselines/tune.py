"""Tunes each baseline on a window before the cut, so that ours does not win against straw men, and evaluates them."""

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
    search_space: SearchSpace | None = None,
    texts: ItemTexts | None = None,
    max_users: int | None = None,
    progress: Progress | None = None,
) -> BaselinesConfig:
    """Return the settings of each baseline with the best NDCG@10, one for each list of `KINDS`.

    The validation window lies just before the split's cut and is as long as its test; fits use what lies before that
    window. Nothing after the cut is seen. `evaluate_baselines` then fits these settings on the whole history. In a tie
    the setting that stands first wins.

    Parameters
    ----------
    search_space : None: `default_search_space` of the baselines in `QUICK`. Those that need texts are skipped without
        `texts`
    max_users : users drawn at random, the same ones for each setting; None: 1,000, or 3,000 of a log of steps, where
        each user has only a purchase or so to predict

    Raises
    ------
    DataError
        The history holds nothing before the window, or no purchase in it.
    """
    days = (split.end - split.cut) / DAY
    past = Split.by_time(split.history, split.cut - int(days * DAY), days)
    search_space = default_search_space(QUICK, split.history.ordinal) if search_space is None else search_space
    search_space = {name: options for name, options in search_space.items() if texts is not None or name not in NEED_TEXTS}
    runner = EvaluationRunner(
        GroundTruth.of(past, max_users or (3000 if split.history.ordinal else 1000)), EvaluateConfig(), lambda _label, _done, _total: None
    )
    fitting = Fitting(past.history, past.cut, texts)
    done, total = 0, sum(_tries(options) for options in search_space.values())
    chosen: dict[str, dict[str, object]] = {kind: {} for kind in KINDS}
    for name, options in search_space.items():

        def ndcg_sums(option: object, name: str = name) -> np.ndarray:
            baseline = fitting.fit(name, BaselineSettings().model_copy(update={name: option}))
            lists = ((kind, runner.run(baseline.retrieve, kind, 10).rows) for kind in KINDS)
            return np.array([np.nansum(ndcg(rows, runner.ground_truth.relevant(kind), 10)) for kind, rows in lists])

        for kind, best in zip(KINDS, _search(options, ndcg_sums), strict=True):
            chosen[kind][name] = best
        done += _tries(options)
        if progress:
            progress(f"tuned {name}", done, total)
    best = {kind: BaselineSettings().model_copy(update=settings) for kind, settings in chosen.items()}
    return BaselinesConfig(names=("popular", *search_space), **best)


def _tries(options: Sequence[object] | Rounds) -> int:
    """Return how many settings are tried, for the progress."""
    return 1 + sum(map(len, options.rounds)) if isinstance(options, Rounds) else len(options)


def _search(options: Sequence[object] | Rounds, quality: Callable[[object], np.ndarray]) -> list[object]:
    """Return the best option for each of `KINDS`; of equal ones the first that was tried.

    Parameters
    ----------
    quality : option -> float (len(KINDS),)
    """
    if not isinstance(options, Rounds):
        return [options[i] for i in np.stack([quality(option) for option in options]).argmax(axis=0)]
    start: Any = options.start
    known = {start: quality(start)}
    best = [start] * len(KINDS)
    for updates in options.rounds:
        for i in range(len(KINDS)):
            tried = [best[i].model_copy(update=dict(update)) for update in updates]
            known |= {option: quality(option) for option in tried if option not in known}
        # A setting tried for one list may be the best for the other.
        best = [max(known, key=lambda option, i=i: known[option][i]) for i in range(len(KINDS))]
    return best


def evaluate_baselines(
    split: Split,
    settings: BaselinesConfig | None = None,
    config: EvaluateConfig | None = None,
    vectors: np.ndarray | None = None,
    progress: Progress | None = None,
    texts: ItemTexts | None = None,
) -> dict[str, Report]:
    """Return the reports of the baselines that the settings name, fitted on the split's history.

    See `evaluate` for the other parameters.

    Parameters
    ----------
    texts : None: baselines that need texts are skipped
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

        def report_progress(label: str, done: int, total: int, name: str = name) -> None:
            if progress:
                progress(f"{name}, {label}", done, total)

        reports[name] = evaluate(System(best.retrieve, explore.retrieve), split, config, vectors, report_progress)
    return reports
