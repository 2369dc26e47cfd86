"""The one text template: what the encoder reads of an item, in training and in serving alike."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from features.data.catalog import Catalog

TEMPLATE_VERSION = "1"
# A description's first words carry what it is; the encoder would cut the rest anyway.
MAX_DESCRIPTION = 400


def item_texts(catalog: Catalog) -> pl.Series:
    """The text of each item, String (n,): title, brand, category path from the narrow end, description.

    Empty parts leave nothing behind; white space, NULs and other control characters become one space.
    """
    clean = [
        pl.col(name).fill_null("").str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars().alias(name)
        for name in ("title", "brand", "category", "description")
    ]
    frame = catalog.frame.select(clean).with_columns(
        category=pl.col("category").str.split("|").list.reverse().list.eval(pl.element().str.strip_chars()).list.join(", "),
        description=pl.col("description").str.slice(0, MAX_DESCRIPTION),
    )
    parts = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in ("title", "brand", "category", "description")]
    return frame.select(text=pl.concat_str(parts, separator=". ", ignore_nulls=True))["text"]


def text_hashes(texts: pl.Series) -> np.ndarray:
    """SHA-256 of each text, first 16 bytes, uint8 (n, 16). Cryptographic, so that no two texts share a vector by chance."""
    unique = texts.unique(maintain_order=True)
    digests = {t: hashlib.sha256(t.encode("utf-8")).digest()[:16] for t in unique.to_list()}
    joined = b"".join(digests[t] for t in texts.to_list())
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], prompt: str = "") -> list[list[int]]:
    """Token ids of each text after a prompt, cut as the tokenizer is set to cut."""
    # A lone surrogate is a legal Python character but no legal UTF-8, which is what the tokenizer wants.
    clean = [prompt + text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [encoding.ids for encoding in tokenizer.encode_batch(clean)]
