"""Item id vectors: a trained vector of an item that is added to the vector of its text.

Items that are newer than the training have none, and are placed by their text alone. `ItemIdEmbedding` in
`retrieval.two_tower.model` is the table while it is trained.
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
    """Trained item id vectors, looked up by external id, because texts are edited and items come and go.

    Attributes
    ----------
    ids : object (n,)
        External item ids.
    row : int32 (n,)
        Row of each item in `table`.
    table : float32 (m, dim)
    """

    ids: np.ndarray
    row: np.ndarray
    table: np.ndarray

    def of_texts(self, ids: np.ndarray, text_of: np.ndarray, n_texts: int) -> np.ndarray:
        """Return the mean of the item id vectors of each distinct text.

        Parameters
        ----------
        ids : object (n_items,)
            External ids of the catalogue's items.
        text_of : int64 (n_items,)
            The text of each item.
        n_texts : int

        Returns
        -------
        float32 (n_texts, dim)
            Zero for texts without a known item.
        """
        row_of = dict(zip(self.ids.tolist(), self.row.tolist(), strict=True))
        row = np.array([row_of.get(item, -1) for item in ids.tolist()], dtype=np.int64)
        known = row >= 0
        count = np.bincount(text_of[known], minlength=n_texts)
        total = np.zeros((n_texts, self.table.shape[1]), dtype=np.float64)
        np.add.at(total, text_of[known], self.table[row[known]])
        return (total / np.maximum(count, 1)[:, None]).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """Return the arrays in safetensors and the ids in JSON."""
        return {
            "learned.safetensors": save({"row": self.row, "table": np.ascontiguousarray(self.table)}),
            "ids.json": json.dumps(self.ids.tolist(), ensure_ascii=False).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemIdVectors:
        """Read the files of `to_files`."""
        return cls(np.array(json.loads(files["ids.json"]), dtype=object), **load(files["learned.safetensors"]))


def in_space(texts: np.ndarray, item_id_vectors: np.ndarray | None) -> np.ndarray:
    """Return text vectors (t, dim) plus item id vectors (t, dim), normalised again, as `TwoTower.item` does."""
    if item_id_vectors is None:
        return texts
    total = texts + item_id_vectors
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
