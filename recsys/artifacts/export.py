"""Export of a model for serving: networks as ONNX graphs, boosters in LightGBM's text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.storage.arrays import in_folder
from features.storage.digests import digest
from recsys.artifacts.bundle import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.artifacts.bundle import Bundle
    from recsys.artifacts.model import Model

FOLDERS = ("tower", "query", "ranking", "search", "pairs")


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
    from ranking.cross_encoder.export import cross_encoder_files
    from retrieval.query_tower.export import query_files
    from retrieval.two_tower.export import user_tower_files

    files = model.fact_files() | in_folder("tower", user_tower_files(model.tower))
    files |= in_folder("query", query_files(model.encoder, model.query_tower))
    files |= in_folder("search", model.search.to_files())
    if model.pairs is not None:
        files |= in_folder("pairs", cross_encoder_files(model.pairs))
    if model.ranking is not None:
        files |= in_folder("ranking", model.ranking.tree_files() | cross_encoder_files(model.ranking.cross_encoder))
    return files
