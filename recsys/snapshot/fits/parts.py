"""The fitted parts of a new snapshot: each is kept, carried over or fitted anew, as `Fits` decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.names import BRAND, CATEGORY, ITEM_ID, PRICE
from features.storage.digests import of_json
from recsys.snapshot.fingerprint import collaborative_key
from recsys.snapshot.fits.fit import FittedOn
from recsys.snapshot.snapshot import with_cold_start
from retrieval.collaborative.models import Collaborative
from retrieval.related.models import Related

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.interactions import Interactions
    from features.text.embeddings import TextVectors
    from recsys.snapshot.fits.fit import Fits
    from recsys.snapshot.snapshot import Snapshot
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.review_words import ReviewWords

COLLABORATIVE, COLD_START, RELATED = "collaborative models", "items never sold", "related items"


@dataclass(frozen=True)
class FittedParts:
    """Takes the fitted parts of a new snapshot one after the other.

    Attributes
    ----------
    fits : decides.
    before : reads the snapshot of the bundle in use; only called where `fits` knows of one.
    """

    fits: Fits
    before: Callable[[], Snapshot]

    def collaborative(self, log: Interactions, now: int, retrieval: RetrievalConfig, words: ReviewWords | None) -> Collaborative:
        """Return the collaborative models of a log that ends before `now`. Popularity is counted anew in any case."""
        settings = of_json([retrieval.model_dump(mode="json"), words is None])
        return self.fits.take(
            COLLABORATIVE,
            FittedOn(collaborative_key(log, now, retrieval, words), settings, of_items=False),
            lambda: self.before().collaborative,
            lambda rows: self.before().collaborative.carried_over(rows, log, now),
            lambda: Collaborative.fit(log, now, retrieval, words),
        )

    def with_cold_start(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the expert on items that nobody has bought; what is never sold is looked up anew."""
        collaborative = self.fits.now[COLLABORATIVE]
        of_items = snapshot.catalog.frame.select(ITEM_ID, CATEGORY, BRAND, PRICE).write_json()
        key = [collaborative.key, snapshot.log.digest, snapshot.now, _digest(of_items), texts_digest(snapshot.texts)]
        settings = of_json([collaborative.settings, snapshot.texts.fingerprint, snapshot.item_id_vectors is None])
        return self.fits.take(
            COLD_START,
            FittedOn(of_json(key), settings, of_items=True),
            lambda: replace(snapshot, cold_start=self.before().cold_start),
            lambda _rows: with_cold_start(snapshot, self.before().cold_start),
            lambda: with_cold_start(snapshot),
        )

    def with_related(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the models of related items; when items are bought again is counted anew."""
        log, now, texts = snapshot.log, snapshot.now, snapshot.category_texts
        key = of_json([log.digest, now, _digest(texts.category.tobytes()), texts_digest(snapshot.search_texts)])
        related = self.fits.take(
            RELATED,
            FittedOn(key, snapshot.search_texts.fingerprint, of_items=True),
            lambda: self.before().related,
            lambda rows: self.before().related.carried_over(rows, log, texts, now),
            lambda: Related.fit(log, texts, now),
        )
        return replace(snapshot, related=related)


def texts_digest(texts: TextVectors) -> str:
    """Return the SHA-256 of distinct texts and of which item has which; their encoder is not part of it."""
    return _digest(np.ascontiguousarray(texts.hashes).tobytes() + np.asarray(texts.text_of, dtype=np.int64).tobytes())


def _digest(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
