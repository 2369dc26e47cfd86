"""The table of `recsys benchmark reviews` and `reviews-zh`, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.metrics.classification import calibration_error, macro_f1, macro_f1_difference
from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line, shown
from eval.reports.text_benchmark import TextBenchmark
from features.text.sentiment.labels import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group

    from eval.metrics.intervals import Bootstrap

NAMES = {"en": "reviews", "zh": "reviews-zh"}
DATA = {
    "reviews": "Sentiment of reviews: women's clothing (CC0), 1-2, 3 and 4-5 stars",
    "reviews-zh": "Sentiment of Chinese reviews: online_shopping_10_cats (research), positive or negative",
}
OURS = "ours"
HEADINGS = ["macro-F1", "minus TF-IDF", "accuracy", "calibration error"]


class Runs(NamedTuple):
    """What one run says of the test part: probabilities (n, 3) and the class that it tells (n,); nan and -1 without an opinion."""

    probabilities: np.ndarray
    told: np.ndarray


class SentimentRow(BaseModel):
    """One system's row.

    Attributes
    ----------
    part : what it trained on
    f1 : macro-F1 over the classes that occur, averaged over seeds or draws; a text without an opinion counts as wrong
    over_tf_idf : its difference to the baseline of the same part, texts resampled together
    calibration_error : of the texts with an opinion, see `eval.metrics.classification.calibration_error`
    by_run : macro-F1 of each seed or draw
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    part: str
    name: str
    f1: Interval
    over_tf_idf: Interval
    accuracy: Interval
    calibration_error: Interval
    by_run: list[float]
    without_opinion: int


class SentimentResult(BaseModel):
    """The whole table.

    Attributes
    ----------
    reviews : number of reviews in each part
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    reviews: dict[str, int]
    rows: tuple[SentimentRow, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    def to_json(self) -> str:
        """Return the result as JSON."""
        return self.model_dump_json(indent=1) + "\n"


def row_of(part: str, name: str, labels: np.ndarray, runs: Sequence[Runs], base: Sequence[Runs], boot: Bootstrap) -> SentimentRow:
    """Return a system's row.

    Parameters
    ----------
    labels : int (n,).
    base : runs of the baseline.
    """
    occurs = np.unique(labels)
    codes = np.full(len(CLASSES) + 1, len(occurs))  # what does not occur, and no opinion, is a code that is never right
    codes[occurs] = np.arange(len(occurs))
    own, told, others = codes[labels], [codes[run.told] for run in runs], [codes[run.told] for run in base]
    opinion = [~np.isnan(run.probabilities[:, 0]) for run in runs]
    error = calibration_error(boot, labels[opinion[0]], [run.probabilities[opinion[0]] for run in runs])
    return SentimentRow(
        part=part,
        name=name,
        f1=Interval.of(macro_f1(boot, own, told, len(occurs))),
        over_tf_idf=Interval.of(macro_f1_difference(boot, own, told, others, len(occurs))),
        accuracy=Interval.of(boot.means({"": np.mean([one == own for one in told], axis=0)})[""]),
        calibration_error=Interval.of(error),
        by_run=[macro_f1(boot, own, [one], len(occurs)).value for one in told],
        without_opinion=int((~opinion[0]).sum()),
    )


def table(result: SentimentResult) -> Group:
    """Return what the command prints."""
    return _presented(result).table()


def lines(result: SentimentResult) -> list[str]:
    """Return the notes: what ours adds, with the macro-F1 of each run."""
    return [
        f"{row.part}: ours has a macro-F1 of {one_line(row.f1, 3)}, by run {', '.join(f'{x:.3f}' for x in row.by_run)}; "
        f"{row.without_opinion:,} texts without an opinion"
        for row in result.rows
        if row.name == OURS
    ]


def markdown(result: SentimentResult) -> str:
    """Return the section of docs/benchmarks.md."""
    counts = ", ".join(f"{count:,} {part}" for part, count in result.reviews.items())
    about = (
        f"`recsys benchmark {result.name} --data DIR`: {counts}. TF-IDF is tuned on the validation part, on which ours is calibrated. "
        "The calibration error is the sum over 15 bins of equal width of the share of texts times |accuracy - mean confidence|, with the "
        "highest probability as confidence. A text without an opinion counts as wrong."
    )
    return _presented(result).markdown(about, versions=result.versions, machine=result.machine)


def _presented(result: SentimentResult) -> TextBenchmark:
    rows = {
        f"{row.name}: {row.part}": [shown(value, 3) for value in (row.f1, row.over_tf_idf, row.accuracy, row.calibration_error)]
        for row in result.rows
    }
    return TextBenchmark(DATA[result.name], "", HEADINGS, rows, OURS, lines(result))
