"""The passages that may answer a question about a product: its title, attributes, sentences of its description and of its reviews."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from features.names import ATTRIBUTES, DESCRIPTION, REVIEW, SENTENCE, SENTIMENT, TITLE
from features.reviews.sentences import split_sentences
from features.text.languages.names import ENGLISH_NAMES

if TYPE_CHECKING:
    from recsys.snapshot.snapshot import Snapshot

_CODES = {name: code for code, name in ENGLISH_NAMES.items()}
MOST_SENTENCES = 2_000  # of the latest reviews of a product


class PassageKind(StrEnum):
    """Where a passage stands."""

    TITLE = "title"
    ATTRIBUTE = "attribute"
    DESCRIPTION = "description"
    REVIEW = "review"


@dataclass(frozen=True)
class ProductPassage:
    """A passage of one product.

    Attributes
    ----------
    text : that is compared with a question.
    kind : where it stands.
    name, value : of an attribute.
    review : that it stands in; None elsewhere.
    sentiment : of a review's sentence; None elsewhere, and where it was not read.
    """

    text: str
    kind: PassageKind
    name: str = ""
    value: str = ""
    review: int | None = None
    sentiment: str | None = None


def product_passages(snapshot: Snapshot, row: int) -> list[ProductPassage]:
    """Return the passages of a product, the shop's own before those of reviews that count, and of these the latest first."""
    item = snapshot.catalog.frame.row(row, named=True)
    passages = [ProductPassage(item[TITLE], PassageKind.TITLE)]
    passages += attribute_passages(item[ATTRIBUTES] or "")
    language = _CODES.get(snapshot.lexical.config.language, "en")
    sentences = split_sentences(pl.Series([item[DESCRIPTION] or ""]), language)[SENTENCE]
    passages += [ProductPassage(text, PassageKind.DESCRIPTION) for text in sentences]
    told = snapshot.reviews.counted_sentences.filter(pl.col("item") == row)
    told = told.select(SENTENCE, REVIEW, SENTIMENT).reverse().head(MOST_SENTENCES)
    passages += [ProductPassage(text, PassageKind.REVIEW, review=review, sentiment=tone) for text, review, tone in told.iter_rows()]
    return [passage for passage in passages if passage.text.strip()]


def attribute_passages(text: str) -> list[ProductPassage]:
    """Return one passage for each attribute of "colour: red; size: 40"; values of the same name stand together."""
    values: dict[str, list[str]] = {}
    for part in text.split(";"):
        name, between, value = part.partition(":")
        if not between:
            name, value = "", name
        if value.strip():
            values.setdefault(" ".join(name.replace("_", " ").split()), []).append(value.strip())
    passages = []
    for name, several in values.items():
        for value in [", ".join(dict.fromkeys(several))] if name else several:
            passages.append(ProductPassage(f"{name}: {value}" if name else value, PassageKind.ATTRIBUTE, name, value))
    return passages
