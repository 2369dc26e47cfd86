"""Digests of a catalogue and a log, which identify what models are fitted on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from features.names import ATTRIBUTES, BARCODE, GROUP_ID, MARGIN, STOCK
from features.storage.digests import digest, of_json, of_strings

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.review_words import ReviewWords

# Columns that came later count where they say something, so that a model trained before them is still found.
_LATER = (GROUP_ID, ATTRIBUTES, BARCODE)
_NOT_LEARNED = (MARGIN, STOCK)  # no model reads them, and they change daily


def fingerprint(catalog: Catalog, log: Interactions) -> str:
    """Return the SHA-256 of a catalogue and a log, 64 hex digits."""
    silent = [name for name in _LATER if not catalog.frame[name].count()]
    total = hashlib.sha256(catalog.frame.drop(*_NOT_LEARNED, *silent).write_json().encode())
    for column in log.columns().values():
        total.update(np.ascontiguousarray(column).tobytes())
    total.update(of_strings(log.user_ids.tolist()))
    return total.hexdigest()


def collaborative_key(log: Interactions, now: int, retrieval: RetrievalConfig, words: ReviewWords | None = None) -> str:
    """Return the SHA-256 of all that the collaborative models depend on. User ids are not part of it."""
    return of_json([log.digest, now, retrieval.model_dump(mode="json"), words_digest(words)])


def words_digest(words: ReviewWords | None) -> str:
    """Return a digest of the words of reviews; empty without any."""
    return "" if words is None else digest(words.to_files())
