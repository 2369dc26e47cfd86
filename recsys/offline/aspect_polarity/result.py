"""The table of `recsys benchmark aspects`, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line, shown
from eval.reports.text_benchmark import TextBenchmark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Group

    from eval.metrics.intervals import Bootstrap

NAME = "aspects"
DATA = "Terms in sentences: SemEval 2014 laptops and restaurants (research only)"
BASE = "TF-IDF"  # what all are compared with
OURS = "cross-encoder"


class PolarityRow(BaseModel):
    """One system's row.

    Attributes
    ----------
    accuracy : set -> share of terms whose polarity is right, with seeds averaged for each term
    over_base : set -> difference to TF-IDF, sentences resampled together
    by_seed : set -> accuracy of each seed
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    accuracy: dict[str, Interval]
    over_base: dict[str, Interval]
    by_seed: dict[str, list[float]] = {}


class PolarityResult(BaseModel):
    """The whole table.

    Attributes
    ----------
    mentions : judged terms, by set
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = NAME
    data: str = DATA
    mentions: dict[str, int]
    rows: tuple[PolarityRow, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    def to_json(self) -> str:
        """Return the result as JSON."""
        return self.model_dump_json(indent=1) + "\n"


def row_of(
    name: str, seeds: list[np.ndarray], base: np.ndarray, sets: Mapping[str, np.ndarray], boot: tuple[Bootstrap, np.ndarray]
) -> PolarityRow:
    """Return a system's row.

    Parameters
    ----------
    seeds : whether the class of each term is right, one array for each seed, bool (m,).
    base : the same of TF-IDF, bool (m,).
    sets : which terms each set judges, bool (m,).
    boot : the bootstrap, and the sentence of each term, which is drawn as a whole, int64 (m,).
    """
    draw, sentence = boot
    mean = np.mean(np.stack(seeds), axis=0)
    clusters = {part: np.unique(sentence[chosen], return_inverse=True)[1] for part, chosen in sets.items()}
    return PolarityRow(
        name=name,
        accuracy={part: Interval.of(draw.means({"accuracy": mean[chosen]}, clusters[part])["accuracy"]) for part, chosen in sets.items()},
        over_base={
            part: Interval.of(draw.paired_difference(mean[chosen], base[chosen].astype(float), clusters[part]))
            for part, chosen in sets.items()
        },
        by_seed={part: [float(one[chosen].mean()) for one in seeds] for part, chosen in sets.items()},
    )


def table(result: PolarityResult) -> Group:
    """Return what `recsys benchmark aspects` prints."""
    return _presented(result).table()


def lines(result: PolarityResult) -> list[str]:
    """Return the notes: what the cross-encoder adds on each set, with the accuracy of each seed."""
    ours = next(row for row in result.rows if row.name == OURS)
    return [
        f"{part}: {OURS} - {BASE} is {one_line(ours.over_base[part], 3)}; by seed {', '.join(f'{x:.3f}' for x in ours.by_seed[part])}"
        for part in result.mentions
    ]


def markdown(result: PolarityResult) -> str:
    """Return the section of docs/benchmarks.md."""
    about = (
        f"`recsys benchmark {result.name} --data DIR`: accuracy of three classes (negative, neutral, positive) on the test sentences; the "
        "mean of five seeds, sentences resampled. Every setting is tuned on training sentences."
    )
    return _presented(result).markdown(about, versions=result.versions, machine=result.machine)


def _presented(result: PolarityResult) -> TextBenchmark:
    headings = [name for part, count in result.mentions.items() for name in (f"{part} ({count:,})", f"- {BASE}")]
    rows = {
        row.name: [cell for part in result.mentions for cell in (shown(row.accuracy[part], 3), shown(row.over_base[part], 3))]
        for row in result.rows
    }
    return TextBenchmark(result.data, "accuracy", headings, rows, OURS, lines(result))
