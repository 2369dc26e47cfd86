"""Scoring reviews, compared with sentence-transformers and a logistic regression as its classifier head.

    python -m benchmarks.review_speed --data DIR [--workspace DIR]

The classifier is that of the first seed of `recsys benchmark reviews`, which must have run in the workspace. Both read the same reviews of
the test part, in one thread, each in turn. The pipeline's head is fitted on 2,000 training reviews, with its strength tuned on 1,000 others
of the validation part. One row is for scoring as it is, and one for a classifier that reads every review with the encoder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.paired import Rival, say
from features.text.sentiment.calibration import macro_f1
from features.text.sentiment.model import SentimentModel
from recsys.artifacts.job_cache import read_files
from recsys.offline.review_sentiment.dataset import LabelledReviews, read_reviews

REVIEWS, BLOCKS, TRAINING, JUDGED = 3_000, 15, 2_000, 1_000
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)


def encoded(rival: Rival, texts: list[str], out: Path) -> tuple[np.ndarray, float]:
    """Return the vectors of the pipeline, and its seconds."""
    seconds = rival.ask(do="encode", texts=texts, out=str(out))["seconds"]
    return np.load(out), seconds


def head(rival: Rival, data: LabelledReviews, out: Path) -> LogisticRegression:
    """Return the pipeline's head, tuned on the validation part."""
    rng = np.random.default_rng(0)
    rows, judged = rng.permutation(data.rows("train"))[:TRAINING], rng.permutation(data.rows("valid"))[:JUDGED]
    vectors, seen = (encoded(rival, data.texts_of(some), out)[0] for some in (rows, judged))
    models = [LogisticRegression(C=c, class_weight="balanced", max_iter=500).fit(vectors, data.labels[rows]) for c in STRENGTHS]
    return max(models, key=lambda model: macro_f1(data.labels[judged], model.predict(seen)))


def main() -> None:
    """Print two rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    options = parser.parse_args()
    data = read_reviews(options.data, "en")
    trained = sorted((options.workspace / "benchmark-reviews").glob("rated-*"), key=lambda path: path.stat().st_mtime)
    if not trained:
        raise SystemExit(f"{options.workspace} has no trained classifier: run `recsys benchmark reviews --data DIR` first")
    model = SentimentModel.from_files(read_files(trained[0]))
    assert model.words is not None
    ways = {"review_sentiment": model, "review_sentiment_all_read": replace(model, words=replace(model.words, settled=1.1))}
    rows = np.random.default_rng(1).permutation(data.rows("test"))[:REVIEWS]
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, "pipeline")}
    told: dict[str, list[np.ndarray]] = {name: [] for name in seconds}
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival:
        rival.ask(do="limit", threads=1)
        classifier = head(rival, data, Path(name) / "vectors.npy")
        for block in np.array_split(rows, BLOCKS):
            texts = data.texts_of(block)
            for way, one in ways.items():
                begun = time.perf_counter()
                told[way].append(one.read(texts).labels)
                seconds[way].append(time.perf_counter() - begun)
            vectors, spent = encoded(rival, texts, Path(name) / "vectors.npy")
            begun = time.perf_counter()
            told["pipeline"].append(classifier.predict(vectors))
            seconds["pipeline"].append(spent + time.perf_counter() - begun)
    f1 = {way: macro_f1(data.labels[rows], np.concatenate(found)) for way, found in told.items()}
    for way in ways:
        figures = {"macro_f1": f1[way], "macro_f1_pipeline": f1["pipeline"], "reviews_a_second": len(rows) / sum(seconds[way])}
        more = {key: round(float(value), 3) for key, value in figures.items()}
        ratios = np.array(seconds["pipeline"]) / np.array(seconds[way])
        say(way, ratios, 4 if way == "review_sentiment" else None, f1[way] / f1["pipeline"], **more)


if __name__ == "__main__":
    main()
