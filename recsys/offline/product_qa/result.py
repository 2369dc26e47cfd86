"""The table of `recsys benchmark product-qa`, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line, shown
from eval.reports.text_benchmark import TextBenchmark

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from rich.console import Group

    from eval.metrics.intervals import Bootstrap

NAME = "product-qa"
DATA = "Product questions: semiPQA, hetPQA and ePQA (Amazon, CDLA-Sharing-1.0)"
BASE = "fusion"  # what the cross-encoder is compared with
OURS = "fusion + cross-encoder"
GRADED = "ePQA"  # the set whose labels tell answers in full from answers in part


class QaRow(BaseModel):
    """One system's row.

    Attributes
    ----------
    map : set -> mean average precision, with seeds averaged for each question
    over_fusion : set -> ratio to the fusion of BM25 and frozen encoder, questions resampled together
    by_seed : set -> that ratio of each seed
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    map: dict[str, Interval]
    over_fusion: dict[str, Interval]
    by_seed: dict[str, list[float]] = {}
    settings: dict[str, Any] = {}


class CurvePoint(BaseModel):
    """What is right among the questions whose best passage is trusted most.

    Attributes
    ----------
    coverage : share of the questions that are answered.
    trust : that the best passage of the last of them has.
    right : share of them whose best passage answers in full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    coverage: float
    trust: float
    right: float


class TopRow(BaseModel):
    """How far one system's best passage can be trusted, by set.

    Attributes
    ----------
    right_first : share of the questions with a passage that answers in full, whose best passage is one
    auc : that the trust in a right best passage is higher than in a wrong one
    quarter : share of right best passages among the quarter of questions with the highest trust
    over_encoder : metric -> set -> difference to the frozen encoder, questions resampled together
    curve : set -> points from the most trusted questions to all
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    right_first: dict[str, Interval]
    auc: dict[str, Interval]
    quarter: dict[str, Interval]
    over_encoder: dict[str, dict[str, Interval]]
    curve: dict[str, list[CurvePoint]]


class QaResult(BaseModel):
    """The whole table.

    Attributes
    ----------
    questions : judged questions with a relevant passage, by set
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = NAME
    data: str = DATA
    questions: dict[str, int]
    rows: tuple[QaRow, ...]
    top: tuple[TopRow, ...] = ()
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    def to_json(self) -> str:
        """Return the result as JSON."""
        return self.model_dump_json(indent=1) + "\n"


def row_of(name: str, seeds: list[np.ndarray], base: np.ndarray, sets: Mapping[str, np.ndarray], boot: Bootstrap) -> QaRow:
    """Return a system's row.

    Parameters
    ----------
    seeds : average precision of each question, one array for each seed, float (q,).
    base : average precision of the fusion, float (q,).
    sets : which questions each set judges, bool (q,).
    """
    mean = sum(seeds[1:], seeds[0]) / len(seeds)
    return QaRow(
        name=name,
        map={part: Interval.of(boot.means({"map": mean[chosen]})["map"]) for part, chosen in sets.items()},
        over_fusion={part: Interval.of(boot.paired_ratio(mean[chosen], base[chosen])) for part, chosen in sets.items()},
        by_seed={part: [boot.paired_ratio(one[chosen], base[chosen]).value for one in seeds] for part, chosen in sets.items()},
    )


def table(result: QaResult) -> Group:
    """Return what `recsys benchmark product-qa` prints."""
    return _presented(result).table()


def lines(result: QaResult) -> list[str]:
    """Return the notes: what the cross-encoder adds on each set, with the ratio of each seed."""
    ours = next(row for row in result.rows if row.name == OURS)
    return [
        f"{part}: {OURS} is {one_line(ours.over_fusion[part], 3)} times {BASE}; by seed {', '.join(f'{x:.3f}' for x in ours.by_seed[part])}"
        for part in result.questions
    ] + [
        f"{GRADED}, {row.name}: the first passage answers in full for {one_line(row.right_first[GRADED], 3)} of those that "
        f"have such a passage; AUC of its probability {one_line(row.auc[GRADED], 3)}; right at a quarter of coverage "
        f"{one_line(row.quarter[GRADED], 3)}"
        for row in result.top
    ]


def markdown(result: QaResult) -> str:
    """Return the section of docs/benchmarks.md."""
    about = (
        f"`recsys benchmark {result.name} --data DIR`: mean average precision over the questions that have a relevant passage. The fusion "
        "mixes BM25 and the frozen encoder; every setting is tuned on questions that are not judged."
    )
    return _presented(result).markdown(about, versions=result.versions, machine=result.machine)


def _presented(result: QaResult) -> TextBenchmark:
    headings = [name for part, count in result.questions.items() for name in (f"{part} ({count:,})", "× fusion")]
    rows = {
        row.name: [cell for part in result.questions for cell in (shown(row.map[part]), shown(row.over_fusion[part], 3))]
        for row in result.rows
    }
    return TextBenchmark(result.data, "mean average precision", headings, rows, OURS, lines(result))
