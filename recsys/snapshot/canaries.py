"""Texts whose nearest neighbours a bundle must still find when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.arrays import Subfolder
from features.text.embeddings import TextVectors
from features.text.token_states import TokenStates
from recsys.snapshot.snapshot import Encoded, Snapshot

if TYPE_CHECKING:
    from recsys.artifacts.bundle import Bundle
    from recsys.artifacts.model import Model


CANARIES = 5


CANARY_K = 10


def encoded_before(bundle: Bundle, model: Model) -> Encoded | None:
    """Vectors of the texts of a bundle, and states where it has them, if this model made them."""
    if not bundle.manifest.answers or bundle.manifest.about["fingerprint"] != model.fingerprint:
        return None
    texts = TextVectors.from_files(Subfolder(bundle.files, "snapshot/texts"))
    held = "snapshot/states/offsets.safetensors" in bundle.files
    return Encoded(texts.alone(), TokenStates.from_files(Subfolder(bundle.files, "snapshot/states")) if held else None, 0)


def canaries(snapshot: Snapshot) -> list[dict[str, list[int] | int]]:
    """Some texts, spread over the catalogue, and the texts nearest to each: what a bundle must still answer when it is opened."""
    chosen = np.unique(np.linspace(0, len(snapshot.text_vectors) - 1, CANARIES).astype(np.int64))
    rows, _ = snapshot.index.search(snapshot.space[chosen], CANARY_K)
    return [{"text": int(text), "nearest": near.tolist()} for text, near in zip(chosen, rows, strict=True)]
