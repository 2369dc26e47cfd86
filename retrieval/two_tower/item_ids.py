"""What the towers learned of single items beyond their texts: a vector an item that is added to its text's.

Items that came after the training have none and stand by their text alone. How they are trained: `retrieval.two_tower.model`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ItemIdVectors:
    """The vectors once they are trained, found by item id: a text may be edited, and items come and go.

    Attributes
    ----------
    ids: external item ids, object (n,). row: of each in `table`, int32 (n,). table: float32 (m, dim).
    """

    ids: np.ndarray
    row: np.ndarray
    table: np.ndarray

    def of_texts(self, ids: np.ndarray, text_of: np.ndarray, n_texts: int) -> np.ndarray:
        """What to add to each distinct text of a catalogue, float32 (n_texts, dim): the mean over its items, 0 where none is known.

        ids: external ids of the catalogue's items, object (n_items,). text_of: their texts, int64 (n_items,).
        """
        place = dict(zip(self.ids.tolist(), self.row.tolist(), strict=True))
        row = np.array([place.get(item, -1) for item in ids.tolist()], dtype=np.int64)
        known = row >= 0
        count = np.bincount(text_of[known], minlength=n_texts)
        total = np.zeros((n_texts, self.table.shape[1]), dtype=np.float64)
        np.add.at(total, text_of[known], self.table[row[known]])
        return (total / np.maximum(count, 1)[:, None]).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """The arrays in safetensors, the ids in JSON."""
        return {
            "learned.safetensors": save({"row": self.row, "table": np.ascontiguousarray(self.table)}),
            "ids.json": json.dumps(self.ids.tolist(), ensure_ascii=False).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemIdVectors:
        """What `to_files` made."""
        return cls(np.array(json.loads(files["ids.json"]), dtype=object), **load(files["learned.safetensors"]))


def in_space(texts: np.ndarray, item_id_vectors: np.ndarray | None) -> np.ndarray:
    """Unit vectors of texts (t, dim) with what was learned of their items (t, dim) added, unit norm again: as `TwoTower.item` does it."""
    if item_id_vectors is None:
        return texts
    moved = texts + item_id_vectors
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
