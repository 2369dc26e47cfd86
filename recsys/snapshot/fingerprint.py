"""A digest of a catalogue and a log, which identifies training data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from features.names import GROUP_ID
from features.storage.digests import of_strings

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions


def fingerprint(catalog: Catalog, log: Interactions) -> str:
    """Return the SHA-256 of a catalogue and a log, 64 hex digits."""
    # A column that came later counts where it says something, so that a model trained before it is still found.
    frame = catalog.frame if catalog.frame[GROUP_ID].count() else catalog.frame.drop(GROUP_ID)
    digest = hashlib.sha256(frame.write_json().encode())
    for column in log.columns().values():
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(of_strings(log.user_ids.tolist()))
    return digest.hexdigest()
