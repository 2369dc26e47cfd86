"""`recsys evaluate reviews`: how well the classifier tells a shop's own ratings from the words, beside TF-IDF."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from rich.table import Table

from eval.metrics.intervals import Bootstrap
from eval.reports.benchmark import shown
from features.data.reviews import NO_TIME
from features.errors import DataError
from features.storage.atomic import write_whole
from features.text.encoder import TextEncoder
from features.text.plain import agree, counted
from features.text.sentiment.labels import CLASSES, NEGATIVE, POSITIVE, label_of_rating
from features.text.sentiment.trainer import fit_sentiment
from recsys.offline.review_sentiment.baselines import tuned
from recsys.offline.review_sentiment.dataset import LabelledReviews
from recsys.offline.review_sentiment.result import Runs, SentimentRow, row_of
from recsys.progress import terminal_progress

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
PARTS = {"train": 0.7, "valid": 0.15, "test": 0.15}  # of the rated reviews with a text, in order of time
LEAST = 200
OURS, TF_IDF = "ours", "tf_idf"


@dataclass(frozen=True)
class ReviewsReport:
    """Figures of the classifier on the newest reviews, which nothing was fitted on.

    Attributes
    ----------
    reviews : of each part, in order of time.
    settings : of the baseline, tuned on the part between.
    """

    ours: SentimentRow
    baseline: SentimentRow
    reviews: dict[str, int]
    settings: dict[str, Any]
    way: str

    def to_json(self) -> str:
        """Return the stable form of `--json`."""
        content = {
            "metrics": _metrics(self.ours),
            "slices": {},
            "baselines": {TF_IDF: {"metrics": _metrics(self.baseline), "settings": self.settings}},
            "differences": {TF_IDF: self.ours.over_tf_idf.model_dump()},
            "reviews": self.reviews,
            "learned_from": self.way,
        }
        return json.dumps(content, indent=2) + "\n"

    def table(self) -> Table:
        """Return what the command prints."""
        grid = Table("", "macro-F1", "minus TF-IDF", "accuracy", "calibration error", box=None, header_style="bold")
        for name, row in (("ours", self.ours), ("TF-IDF, tuned", self.baseline)):
            values = (row.f1, row.over_tf_idf, row.accuracy, row.calibration_error)
            grid.add_row(name, *("\n".join(shown(value, 3)) for value in values))
        grid.title = f"Sentiment of the newest {self.reviews['test']:,} rated reviews"
        return grid


def evaluate_reviews(workspace: Workspace, settings: Settings, seed: int = 0) -> ReviewsReport:
    """Fit classifier and baseline on the older reviews, judge them on the newest, and write JSON to reports/.

    Raises
    ------
    DataError
        There are too few rated reviews, or a part of them lacks a class.
    """
    data = _labelled(workspace, settings)
    chinese = int(pl.Series(data.texts).str.contains(r"\p{Han}").sum())
    setting, probabilities = tuned(data, "zh" if 2 * chinese > len(data.texts) else "en")
    known = np.flatnonzero(data.part != "test")
    encoder = TextEncoder.pretrained(settings.encoder)  # the shop's own may have learned from texts of later days
    model = fit_sentiment(encoder, data.texts_of(known), data.labels[known], settings.reviews.sentiment, seed, terminal_progress)
    read = model.read(data.texts_of(data.rows("test")))
    for note in read.notes:
        _log.warning("%s", note)
    base, ours = Runs(probabilities, probabilities.argmax(axis=1)), Runs(read.probabilities, read.labels)
    labels, boot = data.labels[data.rows("test")], Bootstrap(settings.evaluate.resamples, settings.evaluate.seed)
    rows = [row_of("ratings", name, labels, [runs], [base], boot) for name, runs in ((OURS, ours), (TF_IDF, base))]
    report = ReviewsReport(rows[0], rows[1], {part: len(data.rows(part)) for part in PARTS}, setting, model.about["way"])
    write_whole(workspace.reports / "reviews_evaluation.json", report.to_json())
    return report


def _labelled(workspace: Workspace, settings: Settings) -> LabelledReviews:
    """Return the shop's rated reviews in order of time, in three parts."""
    catalog, log = workspace.load(settings.events)
    reviews = workspace.load_reviews(catalog, log.user_ids)
    if reviews is None:
        raise DataError("the shop has no reviews: run `recsys ingest` with --reviews FILE")
    labels, texts = label_of_rating(reviews.rating), reviews.full_text
    used = np.flatnonzero((labels >= 0) & texts.str.contains(r"\p{L}").to_numpy())
    if len(used) < LEAST:
        raise DataError(f"{len(used):,} reviews have a rating and words, expected at least {LEAST}: there is too little to judge by")
    if untimed := int(np.count_nonzero(reviews.time[used] == NO_TIME)):
        of = f"{untimed:,} of the {counted(len(used), 'rated review')} {agree(untimed, 'has', 'have')} no time"
        _log.warning("%s and %s as the oldest, in order of the item", of, agree(untimed, "counts", "count"))
    ends = np.cumsum(list(PARTS.values())) * len(used)
    part = np.array(list(PARTS))[np.minimum(np.searchsorted(ends, np.arange(len(used)), side="right"), len(PARTS) - 1)]
    expected = sorted({NEGATIVE, POSITIVE, *labels[used].tolist()})  # thumbs up and down leave nothing neutral
    for name in PARTS:
        if missing := [CLASSES[label] for label in expected if label not in labels[used][part == name]]:
            many = int((part == name).sum())
            raise DataError(f"none of the {many:,} rated reviews of the part {name} is {missing[0]}: there is too little to judge by")
    return LabelledReviews(texts.gather(used).to_list(), labels[used], part)


def _metrics(row: SentimentRow) -> dict[str, Any]:
    values = {"macro_f1": row.f1, "accuracy": row.accuracy, "calibration_error": row.calibration_error}
    return {name: value.model_dump() for name, value in values.items()}
