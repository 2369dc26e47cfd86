"""Vectors of texts by shards: the job of a cluster, and the same function for this process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy

from features.storage.arrays import Subfolder, in_folder
from recsys.artifacts.job_cache import job_files, read_files, store_job_files
from recsys.compute.job import Job, cut, results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.token_states import TokenStates
    from recsys.artifacts.model import Model
    from recsys.compute.job import Cluster
    from recsys.settings.names import Device
    from retrieval.query_tower.model import QueryTower
    from retrieval.two_tower.model import TwoTower

TOWERS, SEARCH = "towers", "search"


def tower_vectors(states: TokenStates, encoder: TextEncoder, tower: TwoTower) -> np.ndarray:
    """Return the towers' vectors of texts, float32 (n, dim)."""
    return by_shards(states, lambda some: tower.item_vectors(encoder.pool(some)))


def search_vectors(states: TokenStates, tower: QueryTower) -> np.ndarray:
    """Return the vectors of texts for search, float32 (n, width)."""
    return by_shards(states, tower.vectors)


def by_shards(states: TokenStates, vectors: Callable[[TokenStates], np.ndarray]) -> np.ndarray:
    """Apply `vectors` to one shard after the other.

    A text's vector depends on its batch by a few units in the last place, and batches end with a shard: so one machine and a cluster
    compute the same bits.
    """
    from features.text.state_cache import PART

    shards = cut(range(len(states)), PART) or [range(0)]
    return np.concatenate([vectors(states.select(np.array(rows, dtype=np.int64))) for rows in shards])


class ClusterEncoder:
    """Encodes texts on a cluster.

    Parameters
    ----------
    cluster : where.
    model : its text sides are stored in the workspace's cache, where workers read them.
    cache : the workspace's cache.
    device : where each worker encodes.
    progress : reports the texts that are encoded.
    """

    def __init__(self, cluster: Cluster, model: Model, cache: Path, device: Device, progress: Progress) -> None:
        parts = {"encoder": model.encoder, "tower": model.tower, "query_tower": model.query_tower}
        self._files = {name: content for folder, part in parts.items() for name, content in in_folder(folder, part.to_files()).items()}
        self._cluster, self._progress = cluster, progress
        self._job = _job(open_encoder, self._files, cache, device, ".safetensors")

    def vectors(self, texts: Sequence[str], kind: str) -> np.ndarray:
        """Return vectors of texts, float32 (n, dim). Both kinds are made at once, and the second call for the same texts reads them."""
        from features.text.state_cache import PART

        store_job_files(self._files, self._job.cache)
        paths = results(self._cluster, self._job, cut(texts, PART) or [[]], self._progress)
        return np.concatenate([safetensors.numpy.load_file(path)[kind] for path in paths])

    def close(self) -> None:
        """Remove the results, which are in a snapshot by now; token states stay cached."""
        _remove(self._job)


def _job(
    work: Callable[..., Callable[[Sequence[str], Path], None]], files: Mapping[str, bytes], cache: Path, device: Device, suffix: str
) -> Job:
    """Return a job whose workers read a model from a folder of the cache that is named by its contents."""
    cache = cache.absolute()
    return Job("encoding texts", work, {"model": str(job_files(files, cache)), "cache": str(cache), "device": device}, cache, suffix)


def _remove(job: Job) -> None:
    """Remove the results and the model of a job."""
    job.remove()
    shutil.rmtree(job.arguments["model"], ignore_errors=True)


def spread_states(cluster: Cluster, encoder: TextEncoder, texts: Sequence[str], cache: Path, progress: Progress) -> None:
    """Have the token states of texts in the cache, where `features.text.state_cache.cached_states` finds them."""
    from features.text.state_cache import PART

    files = in_folder("encoder", encoder.to_files())
    job = _job(open_states, files, cache, "auto", ".done")
    with job.alone():
        store_job_files(files, cache)
        results(cluster, job, cut(texts, PART), progress)
        _remove(job)


def open_states(model: str, cache: str, device: Device) -> Callable[[Sequence[str], Path], None]:
    """Read an encoder; return the function that puts the token states of a shard of texts into the cache, and an empty file."""
    from features.text.encoder import TextEncoder
    from features.text.state_cache import cached_states
    from recsys.settings.presets import find_device

    encoder = TextEncoder.from_files(Subfolder(read_files(Path(model)), "encoder")).to(find_device(device))

    def keep(texts: Sequence[str], path: Path) -> None:
        cached_states(encoder, texts, Path(cache))
        path.touch()

    return keep


def open_encoder(model: str, cache: str, device: Device) -> Callable[[Sequence[str], Path], None]:
    """Read the text sides of a model; return the function that encodes a shard of texts into a file of both kinds of vectors."""
    from features.text.encoder import TextEncoder
    from features.text.state_cache import cached_states
    from recsys.settings.presets import find_device
    from retrieval.query_tower.model import QueryTower
    from retrieval.two_tower.model import TwoTower

    files, place = read_files(Path(model)), find_device(device)
    encoder = TextEncoder.from_files(Subfolder(files, "encoder")).to(place)
    tower = TwoTower.from_files(Subfolder(files, "tower")).to(place)
    query_tower = QueryTower.from_files(Subfolder(files, "query_tower")).to(place)

    def encode(texts: Sequence[str], path: Path) -> None:
        states = cached_states(encoder, texts, Path(cache))
        vectors = {TOWERS: tower_vectors(states, encoder, tower), SEARCH: search_vectors(states, query_tower)}
        path.write_bytes(safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in vectors.items()}))

    return encode
