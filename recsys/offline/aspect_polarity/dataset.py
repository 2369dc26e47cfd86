"""The data of `recsys benchmark aspects`: terms in sentences whose polarity people gave, and reviews with stars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.errors import DataError
from features.reviews.aspects import AspectList
from features.reviews.sentences import split_sentences
from features.storage.digests import of_json
from ranking.cross_encoder.aspect_polarity import LabelledMentions
from ranking.cross_encoder.mention_pairs import POLARITIES
from recsys.offline.aspect_polarity.weak_labels import weak_labels
from recsys.offline.text_data import read_text_data

if TYPE_CHECKING:
    from pathlib import Path

FILE = "aspects.parquet"
NAME = "absa_terms"
COLUMNS = ("dataset", "split", "text", "aspect", "start", "polarity")
SETS = {"laptop14": "laptops", "restaurant14": "restaurants"}
REVIEWS = ("amazon_musical_instruments", "womens_clothing_reviews")
# The sentences were cut into words; a text encoder has learned from texts as people write them.
_JOINED = (
    *((f" {end}", end) for end in ("n't", "'s", "'m", "'ve", "'re", "'d", "'ll", ",", ".", "!", "?")),
    ("-LRB-", "("),
    ("-RRB-", ")"),
)


@dataclass(frozen=True)
class AspectTerms:
    """Terms in sentences, of the training and the test part.

    Attributes
    ----------
    mentions : columns `sentence` (row in `sentences`), `begin`, `end`, `dataset`, `test` (bool), `label` (0 to 2).
    """

    sentences: pl.Series
    mentions: pl.DataFrame

    @property
    def digest(self) -> str:
        """Digest of all sentences, terms and polarities."""
        return of_json([self.sentences.to_list(), self.mentions.rows()])

    @property
    def labels(self) -> np.ndarray:
        """Polarity of each mention, int64 (m,)."""
        return self.mentions["label"].to_numpy()

    @property
    def terms(self) -> list[str]:
        """Words of each mention."""
        found = zip(self.mentions["sentence"], self.mentions["begin"], self.mentions["end"], strict=True)
        return [self.sentences[row][begin:end] for row, begin, end in found]

    def part(self, test: bool, dataset: str | None = None) -> np.ndarray:
        """Return which mentions belong to a part, and to a dataset if one is given, bool (m,)."""
        chosen = self.mentions["test"] == test
        return (chosen if dataset is None else chosen & (self.mentions["dataset"] == dataset)).to_numpy()

    @property
    def training(self) -> LabelledMentions:
        """The training part of all datasets together."""
        rows = self.mentions.filter(~pl.col("test"))
        return LabelledMentions(self.sentences, rows, rows["label"].to_numpy(), np.ones(len(rows), dtype=np.float32))


def read_aspect_terms(folder: Path) -> AspectTerms:
    """Read the terms of laptops and restaurants.

    Raises
    ------
    DataError
        If the file is missing, or lacks a column or a part.
    """
    frame, path = read_text_data(folder, NAME, FILE, COLUMNS)
    frame = frame.filter(pl.col("dataset").is_in(list(SETS)), pl.col("polarity").str.to_lowercase().is_in(POLARITIES))
    for dataset in SETS:
        for split in ("train", "test"):
            if frame.filter(pl.col("dataset") == dataset, pl.col("split") == split).is_empty():
                raise DataError(f"{path} has no rows of {dataset} {split}, expected both parts of {' and '.join(SETS)}: give --data DIR")
    spans = [
        joined(*row) for row in frame.select("text", "start", (pl.col("start") + pl.col("aspect").str.len_chars()).alias("end")).rows()
    ]
    key = pl.concat_str("dataset", "split", "text", separator="\t").rank("dense").cast(pl.Int64) - 1
    frame = frame.with_columns(
        sentence=key,
        text=pl.Series([text for text, _, _ in spans]),
        begin=pl.Series([begin for _, begin, _ in spans]),
        end=pl.Series([end for _, _, end in spans]),
        test=pl.col("split") == "test",
        label=pl.col("polarity").str.to_lowercase().replace_strict(POLARITIES, range(len(POLARITIES)), return_dtype=pl.Int64),
    ).sort("sentence", "begin", "end", maintain_order=True)
    sentences = frame.unique("sentence", keep="first", maintain_order=True)["text"]
    return AspectTerms(sentences, frame.select("sentence", "begin", "end", "dataset", "test", "label"))


def joined(text: str, begin: int, end: int) -> tuple[str, int, int]:
    """Return a text whose words were cut apart as people write it, with the place of a term in it."""
    for apart, together in _JOINED:
        shift = len(together) - len(apart)
        while (place := text.find(apart)) >= 0:
            text = text[:place] + together + text[place + len(apart) :]
            begin, end = (at + shift * (place < at) for at in (begin, end))
    return text, begin, end


def starred_mentions(folder: Path, most: int) -> LabelledMentions | None:
    """Return mentions of the packaged aspects in reviews with stars, labelled by them; None without such reviews.

    Parameters
    ----------
    most : reviews of each set, at most; those of few stars come first, because they are rare.
    """
    frames = []
    for path in (folder / name for name in REVIEWS):
        if path.exists():
            frame = pl.read_parquet(path)
            frame = frame.filter(pl.col("split") == "train") if "split" in frame.columns else frame
            frame = frame.select("text", pl.col("rating").cast(pl.Float64)).drop_nulls()
            frames.append(frame.sort((pl.col("rating") > 3).cast(pl.Int8), maintain_order=True).head(most))
    if not frames:
        return None
    reviews = pl.concat(frames)
    parts = split_sentences(reviews["text"])
    mentions = AspectList.packaged().mentions(parts["sentence"])
    labels, weights = weak_labels(parts["sentence"], mentions, reviews["rating"].gather(parts["review"]).to_numpy())
    return LabelledMentions(parts["sentence"], mentions, labels, weights)
