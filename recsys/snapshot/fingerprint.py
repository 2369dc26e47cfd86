"""A digest of a catalogue and a log, which identifies training data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from features.names import ATTRIBUTES, BARCODE, GROUP_ID, MARGIN, STOCK
from features.storage.digests import of_strings

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions

# Columns that came later count where they say something, so that a model trained before them is still found.
_LATER = (GROUP_ID, ATTRIBUTES, BARCODE)
_NOT_LEARNED = (MARGIN, STOCK)  # no model reads them, and they change daily


def fingerprint(catalog: Catalog, log: Interactions) -> str:
    """Return the SHA-256 of a catalogue and a log, 64 hex digits."""
    silent = [name for name in _LATER if not catalog.frame[name].count()]
    digest = hashlib.sha256(catalog.frame.drop(*_NOT_LEARNED, *silent).write_json().encode())
    for column in log.columns().values():
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(of_strings(log.user_ids.tolist()))
    return digest.hexdigest()
