"""Export of a model for serving: networks as ONNX graphs, boosters in LightGBM's text format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from features.storage.digests import digest
from ranking import gbdt
from recsys.artifacts.bundle import LAYOUT
from recsys.artifacts.model import BASE_FILE, RESIDUAL_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.artifacts.bundle import Bundle
    from recsys.artifacts.model import Model, Ranking

FOLDERS = ("tower", "query", "ranking")


def model_digest(files: Mapping[str, bytes]) -> str:
    """Return a digest of a model's stored files and of the export's layout, 16 hex digits."""
    return digest({"layout": str(LAYOUT).encode(), **files})


def answering_files(model: Model, key: str, previous: Bundle | None = None) -> dict[str, bytes]:
    """Return the files of a `ServedModel`.

    Parameters
    ----------
    key : the model's `model_digest`.
    previous : a bundle whose files are reused if it was built from the same model.
    """
    if previous is not None and previous.manifest.about.get("model") == key:
        names = [name for name in previous.files if name == "model.json" or name.split("/")[0] in FOLDERS]
        return {name: previous.files[name] for name in names}
    from retrieval.two_tower.export import query_files, user_tower_files

    parts = {"tower": user_tower_files(model.tower), "query": query_files(model.encoder, model.tower)}
    if model.ranking is not None:
        parts["ranking"] = _ranking_files(model.ranking)
    about = {"retrieval": model.retrieval.model_dump(), "about": model.about}
    files = {"model.json": json.dumps(about, indent=2).encode()}
    return files | {f"{folder}/{name}": content for folder, some in parts.items() for name, content in some.items()}


def _ranking_files(ranking: Ranking) -> dict[str, bytes]:
    from ranking.cross_encoder.export import cross_encoder_files

    boosters = gbdt.to_files(ranking.base, BASE_FILE) | gbdt.to_files(ranking.residual, RESIDUAL_FILE)
    return boosters | cross_encoder_files(ranking.cross_encoder) | ranking.calibration.to_files()
