"""The data of `recsys benchmark product-qa`: real questions about products, each with passages graded by people."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.errors import DataError
from features.storage.digests import of_json
from recsys.offline.text_data import read_text_data

if TYPE_CHECKING:
    from pathlib import Path

FILE = "evidence_ranking.parquet"
NAME = "product_qa"
COLUMNS = ("dataset", "split", "qid", "product_id", "question", "candidate", "label", "source")
SETS = ("semiPQA seen", "semiPQA unseen", "hetPQA", "ePQA")  # those that are judged
TRAINING = "semiPQA training"
_SET_OF = {
    ("semiPQA", "dev"): TRAINING,
    ("semiPQA", "testseen"): "semiPQA seen",
    ("semiPQA", "testunseen"): "semiPQA unseen",
    ("hetPQA", "dev"): "hetPQA",
    ("ePQA", "dev"): "ePQA",
}
IN_FULL = 2  # label of ePQA; the other sets know one degree alone
CUSTOMERS = ("review", "cqa")  # sources that customers wrote
HELD_OUT = 10  # a tenth of what trains is held out for the mix
_MARKS = re.compile(r'[{}\[\]":,_\s]+')


@dataclass(frozen=True)
class ProductQa:
    """Pairs of a question and a passage, ordered by question.

    Attributes
    ----------
    offsets : question i has the pairs offsets[i]:offsets[i+1], int64 (q + 1,).
    part : the set of each question, str (q,).
    fold : the fold of each question's product, int64 (q,); -1 where a published split says what trains.
    held_out : whether a training question is kept for fitting the mix, bool (q,).
    question, passage : index of each pair's texts in `questions` and `passages`, int64 (p,).
    relevant : whether the passage answers the question at least in part, bool (p,).
    answers : whether it answers in full, bool (p,).
    by_customers : whether it stands in a review or in a customer's answer, bool (p,).
    """

    offsets: np.ndarray
    part: np.ndarray
    fold: np.ndarray
    held_out: np.ndarray
    question: np.ndarray
    passage: np.ndarray
    relevant: np.ndarray
    answers: np.ndarray
    by_customers: np.ndarray
    questions: list[str]
    passages: list[str]

    @property
    def of(self) -> np.ndarray:
        """The question of each pair, int64 (p,)."""
        return np.repeat(np.arange(len(self.part)), np.diff(self.offsets))

    @property
    def digest(self) -> str:
        """Digest of all pairs and their grades."""
        return of_json([self.questions, self.passages, self.offsets.tolist(), self.relevant.tolist()])

    @property
    def answered(self) -> np.ndarray:
        """Whether a question has a relevant passage, bool (q,); the others have no average precision."""
        return np.logical_or.reduceat(self.relevant, self.offsets[:-1])

    def trains(self, fold: int) -> np.ndarray:
        """Return which questions may train the models that judge a fold, bool (q,)."""
        return (self.part == TRAINING) | ((self.fold >= 0) & (self.fold != fold))

    def judged(self, fold: int) -> np.ndarray:
        """Return which questions are judged by the models of a fold, bool (q,); those of a published split by fold 0."""
        return (self.fold == fold) | ((self.part != TRAINING) & (self.fold < 0) & (fold == 0))

    def average_precision(self, scores: np.ndarray) -> np.ndarray:
        """Return the average precision of each question by scores of its pairs (p,), float64 (q,).

        It is nan where no passage is relevant, or where the passages have no scores.
        """
        out = np.full(len(self.part), np.nan)
        for i in np.flatnonzero(self.answered & ~np.isnan(scores[self.offsets[:-1]])):
            pairs = slice(self.offsets[i], self.offsets[i + 1])
            out[i] = average_precision(self.relevant[pairs], scores[pairs])
        return out


def average_precision(relevant: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean precision at the ranks of the relevant passages; equal scores share the worst rank among them."""
    at_least = scores[None, :] >= scores[relevant][:, None]  # (relevant, n)
    return float(((at_least & relevant).sum(axis=1) / at_least.sum(axis=1)).mean())


def passage_text(text: str) -> str:
    """Return a passage in words: an attribute such as `item_weight: { value:"2 kg" }` loses its marks."""
    return _MARKS.sub(" ", text).strip()


def read_product_qa(folder: Path, folds: int) -> ProductQa:
    """Read the graded pairs.

    Raises
    ------
    DataError
        If the file is missing, or lacks a column or a set.
    """
    frame, path = read_text_data(folder, NAME, FILE, COLUMNS)
    known = pl.DataFrame([(*key, part) for key, part in _SET_OF.items()], schema=["dataset", "split", "part"], orient="row")
    frame = frame.join(known, on=["dataset", "split"], how="inner", maintain_order="left")
    if absent := [part for part in (TRAINING, *SETS) if not (frame["part"] == part).any()]:
        raise DataError(f"{path} has no rows of {absent[0]}: give --data DIR with all of semiPQA, hetPQA and ePQA")
    return _pairs(frame.with_columns(pl.col("question", "candidate", "product_id").fill_null("")), folds)


def _pairs(frame: pl.DataFrame, folds: int) -> ProductQa:
    key = pl.concat_str("part", "qid", separator="\t")
    frame = frame.with_columns(of=key.rank("dense").cast(pl.Int64) - 1).sort("of", maintain_order=True)
    first = frame.unique("of", keep="first", maintain_order=True)
    by_product = first["part"].is_in(["hetPQA", "ePQA"]).to_numpy()
    label = pl.col("label").fill_null(0)
    graded = frame.select(
        relevant=label > 0,
        answers=label >= pl.when(pl.col("part") == "ePQA").then(IN_FULL).otherwise(1),
        by_customers=pl.col("source").fill_null("").str.to_lowercase().is_in(CUSTOMERS),
    )
    owner = np.where(by_product, first["product_id"].to_numpy(), first["question"].to_numpy())
    drawn = np.array([int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:6], "big") for name in owner], dtype=np.int64)
    questions, question = _distinct(frame["question"].str.strip_chars())
    passages, passage = _distinct(frame["candidate"].map_elements(passage_text, return_dtype=pl.String))
    return ProductQa(
        offsets=np.searchsorted(frame["of"].to_numpy(), np.arange(len(first) + 1)),
        part=first["part"].to_numpy(),
        fold=np.where(by_product, drawn % folds, -1),
        held_out=drawn // folds % HELD_OUT == 0,
        question=question,
        passage=passage,
        **{name: graded[name].to_numpy() for name in graded.columns},
        questions=questions,
        passages=passages,
    )


def _distinct(texts: pl.Series) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts, sorted, and the index of each text among them."""
    distinct = texts.unique().sort()
    return distinct.to_list(), distinct.search_sorted(texts).cast(pl.Int64).to_numpy()
