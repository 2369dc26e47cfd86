"""The user tower at inference: an ONNX graph, run by onnxruntime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.onnx.session import Device, OnnxSession
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.user_inputs import BATCH, recent_of, user_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories


@dataclass(frozen=True)
class OnnxUserTower:
    """The user tower of `retrieval.two_tower.model.TwoTower` as a graph. Implements `UserTower`."""

    session: OnnxSession
    config: TowerConfig

    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """See `UserTower`."""
        out = [np.zeros((0, self.config.dim), dtype=np.float32)]
        for start in range(0, len(users), BATCH):
            part = users.take(np.arange(start, min(start + BATCH, len(users))))
            recent = recent_of(part, len(item_vectors), self.config)
            vectors = item_vectors[np.maximum(recent.rows, 0)]  # (b, n, dim)
            out.append(self.session(vectors=vectors, **user_inputs(recent, self.config)))
        return np.concatenate(out)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxUserTower:
        """Read the files of `retrieval.two_tower.export.user_tower_files`."""
        return cls(OnnxSession(files["user.onnx"], device), TowerConfig.from_stored(json.loads(files["tower.json"])["tower"]))
