"""Canaries: known nearest-neighbour queries that a bundle is tested with when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.arrays import Subfolder
from features.text.embeddings import TextVectors
from features.text.token_states import TokenStates
from recsys.snapshot.encode import Encoded

if TYPE_CHECKING:
    from recsys.artifacts.bundle import Bundle
    from recsys.artifacts.model import Model
    from recsys.snapshot.snapshot import Snapshot

CANARIES = 5
CANARY_K = 10


def encoded_before(bundle: Bundle, model: Model) -> Encoded | None:
    """Return the vectors of a bundle's texts, with the token states it holds; None if another model encoded them."""
    if not bundle.manifest.answers or bundle.manifest.about["fingerprint"] != model.fingerprint:
        return None
    texts = TextVectors.from_files(Subfolder(bundle.files, "snapshot/texts"))
    has_states = "snapshot/states/offsets.safetensors" in bundle.files
    search = TextVectors.from_files(Subfolder(bundle.files, "snapshot/search/texts"))
    return Encoded(
        texts.alone(), search.alone(), TokenStates.from_files(Subfolder(bundle.files, "snapshot/states")) if has_states else None, 0
    )


def canaries(snapshot: Snapshot) -> list[dict[str, list[int] | int]]:
    """Return texts that are spread over the catalogue, and the nearest texts of each as the index finds them now."""
    chosen = np.unique(np.linspace(0, len(snapshot.text_vectors) - 1, CANARIES).astype(np.int64))
    rows, _ = snapshot.index.search(snapshot.space[chosen], CANARY_K)
    return [{"text": int(text), "nearest": near.tolist()} for text, near in zip(chosen, rows, strict=True)]
