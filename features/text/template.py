"""The text template of an item, used in training and in serving."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding, Tokenizer

    from features.data.catalog import Catalog

TEMPLATE_VERSION = "1"
# The first words of a description say what the item is. The encoder would truncate the rest anyway.
MAX_DESCRIPTION = 400


def item_texts(catalog: Catalog) -> pl.Series:
    """Return the text of each item, String (n,): title, brand, category path from the leaf to the root, description.

    Empty parts are left out. A run of white space and control characters becomes one space.
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
    """Return the first 16 bytes of each text's SHA-256, uint8 (n, 16).

    The hash is cryptographic, so that no two texts share a vector by chance.
    """
    unique = texts.unique(maintain_order=True)
    digests = {t: hashlib.sha256(t.encode("utf-8")).digest()[:16] for t in unique.to_list()}
    joined = b"".join(digests[t] for t in texts.to_list())
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], prompt: str = "") -> list[list[int]]:
    """Tokenize each text after a prompt; the tokenizer truncates as configured."""
    return [encoding.ids for encoding in encodings(tokenizer, texts, prompt)]


def encodings(tokenizer: Tokenizer, texts: Sequence[str], prompt: str = "") -> list[Encoding]:
    """Tokenize as `token_ids` does; an encoding also says which word a token belongs to."""
    # A Python string may hold lone surrogates, but the tokenizer needs valid UTF-8.
    clean = [prompt + text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return tokenizer.encode_batch(clean)
