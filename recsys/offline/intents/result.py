"""The table of `recsys benchmark intents`, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.metrics.probabilities import roc_auc
from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line, shown
from eval.reports.text_benchmark import TextBenchmark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group

    from eval.metrics.intervals import Bootstrap

NAME = "intents"
DATA = "Intents: banking77 (CC-BY-4.0)"
OURS = "ours"
REFUSED = 0.05  # of the texts with an intent
HEADINGS = ["accuracy or AUROC", "minus frozen encoder", f"none refused at {REFUSED:.0%}", "calibration error"]


class NoneScores(NamedTuple):
    """Scores of texts with one of the intents, and of texts with none; higher says "has one"."""

    known: np.ndarray
    none: np.ndarray


class IntentRow(BaseModel):
    """One system's row.

    Attributes
    ----------
    part : what it trained on, or which intents were held back
    score : accuracy over the test texts, or the AUROC of texts with an intent against those with none; averaged over runs
    over_base : difference to the frozen encoder's row of the part, texts resampled together
    caught : share of the texts with none that a threshold refuses which refuses 5% of those with one
    calibration_error : of the probability of any intent at all, if both kinds are equally frequent
    by_run : score of each draw or seed
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    part: str
    name: str
    score: Interval
    over_base: Interval
    caught: Interval | None = None
    calibration_error: float | None = None
    by_run: list[float]


class IntentResult(BaseModel):
    """The whole table.

    Attributes
    ----------
    texts : number of texts in each part
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = NAME
    data: str = DATA
    texts: dict[str, int]
    rows: tuple[IntentRow, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    def to_json(self) -> str:
        """Return the result as JSON."""
        return self.model_dump_json(indent=1) + "\n"


def accuracy_row(part: str, name: str, runs: Sequence[np.ndarray], base: Sequence[np.ndarray], boot: Bootstrap) -> IntentRow:
    """Return a row of accuracies.

    Parameters
    ----------
    runs, base : whether each test text is told right, bool (n,), by run, of this system and of the frozen encoder.
    """
    own, other = (np.mean(np.stack(some), axis=0) for some in (runs, base))
    return IntentRow(
        part=part,
        name=name,
        score=Interval.of(boot.means({"": own})[""]),
        over_base=Interval.of(boot.paired_difference(own, other)),
        by_run=[float(run.mean()) for run in runs],
    )


def none_row(part: str, name: str, scores: NoneScores, base: NoneScores, boot: Bootstrap, *, probability: bool) -> IntentRow:
    """Return a row of AUROCs.

    Parameters
    ----------
    base : scores of the frozen encoder's highest softmax.
    probability : whether the scores are probabilities, whose calibration is judged.
    """
    rng, many = np.random.default_rng(boot.seed), (len(scores.known), len(scores.none))
    drawn = np.empty((3, boot.resamples))
    for number in range(boot.resamples):
        known, none = (rng.integers(count, size=count) for count in many)
        one, other = (NoneScores(system.known[known], system.none[none]) for system in (scores, base))
        drawn[:, number] = auroc(one), auroc(one) - auroc(other), caught(one)
    values = auroc(scores), auroc(scores) - auroc(base), caught(scores)
    own, over, share = (Interval.of(boot.with_interval(value, row, sum(many))) for value, row in zip(values, drawn, strict=True))
    error = calibration_error(scores) if probability else None
    return IntentRow(part=part, name=name, score=own, over_base=over, caught=share, calibration_error=error, by_run=[values[0]])


def auroc(scores: NoneScores) -> float:
    """Return the AUROC of texts with an intent against those with none."""
    labels = np.repeat([True, False], [len(scores.known), len(scores.none)])
    return roc_auc(labels, np.concatenate(scores))


def caught(scores: NoneScores) -> float:
    """Return the share of texts with none below the threshold that refuses `REFUSED` of those with one."""
    return float((scores.none < np.quantile(scores.known, REFUSED)).mean())


def calibration_error(scores: NoneScores, bins: int = 15) -> float:
    """Return the expected calibration error with both kinds weighted to equal sums."""
    values = np.concatenate(scores)
    labels = np.repeat([1.0, 0.0], [len(scores.known), len(scores.none)])
    weights = np.repeat([0.5 / len(scores.known), 0.5 / len(scores.none)], [len(scores.known), len(scores.none)])
    place = np.minimum((values * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, weights * (labels - values), bins)).sum())


def table(result: IntentResult) -> Group:
    """Return what the command prints."""
    return _presented(result).table()


def lines(result: IntentResult) -> list[str]:
    """Return the notes: ours by part, with each run."""
    return [
        f"{row.part}: ours has {one_line(row.score, 3)}, by run {', '.join(f'{value:.3f}' for value in row.by_run)}"
        for row in result.rows
        if row.name == OURS
    ]


def markdown(result: IntentResult) -> str:
    """Return the section of docs/benchmarks.md."""
    counts = ", ".join(f"{count:,} {part}" for part, count in result.texts.items())
    about = (
        f"`recsys benchmark {result.name} --data DIR`: {counts}. Accuracy of 77 intents, the mean over draws of the examples; then every "
        "third intent in the order of names is held back, and test texts with one of the other intents are told from test texts with none "
        f"of them: AUROC, and the share of the latter refused by the threshold that refuses {REFUSED:.0%} of the former. The calibration "
        "error is over 15 bins, with both kinds weighted alike. Every setting is tuned on examples of the training part."
    )
    return _presented(result).markdown(about, versions=result.versions, machine=result.machine)


def _presented(result: IntentResult) -> TextBenchmark:
    rows = {
        f"{row.name}: {row.part}": [
            shown(row.score, 3),
            shown(row.over_base, 3),
            shown(row.caught, 3),
            ("–" if row.calibration_error is None else f"{row.calibration_error:.3f}", ""),
        ]
        for row in result.rows
    }
    return TextBenchmark(result.data, "", HEADINGS, rows, OURS, lines(result))
