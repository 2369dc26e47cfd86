"""Retrieval at the start of a window, as it would have answered then: in this process, or by shards of users on a cluster."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save, save_file

from features.behavior.item_stats import ItemStats
from features.data.histories import Histories
from features.storage.arrays import Subfolder, arrays_of, in_folder
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.ranker import FEATURE_USERS, with_features
from recsys.artifacts.job_cache import read_files, store_job_files
from recsys.compute.job import Job, cut, results
from recsys.settings.presets import find_device
from retrieval.candidates import Candidates
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.text_similarity import TextSimilarity
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eval.metrics.user_items import UserItems
    from features.data.interactions import Interactions
    from features.progress import Progress
    from recsys.compute.job import Cluster
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

SHARD = FEATURE_USERS  # users; batches of retrieval and of features end with a shard, so that its bits are those of one process


@dataclass(frozen=True)
class WindowRetriever:
    """Retriever and statistics of items over a history that ends at the window's start.

    Attributes
    ----------
    depth : candidates a user, at most.
    """

    retriever: HybridRetriever
    stats: ItemStats
    depth: int

    @classmethod
    def of(
        cls,
        job: TrainingJob,
        models: TextModels,
        history: Interactions,
        start: int,
        vectors: np.ndarray,
        collaborative: Collaborative | None = None,
    ) -> WindowRetriever:
        """Fit what retrieval needs on a history.

        Parameters
        ----------
        vectors : of the distinct texts, float32 (t, dim); see `TextModels`.
        collaborative : models that were already fitted on it.
        """
        settings = job.settings
        collaborative = collaborative or Collaborative.fit(history, start, settings.retrieval, job.review_words)
        index = ItemIndex.build(vectors, settings.index)
        towers = TwoTowerRetriever(models.tower, vectors, index, models.text_of, collaborative.popularity.ranking)
        texts = job.text_similarity(models.text_of, collaborative)
        stats = ItemStats.fit(history, job.catalog, start)
        return cls(HybridRetriever(collaborative, towers, settings.retrieval, texts=texts), stats, settings.retrieval.candidates)

    def candidates(self, users: Histories, allowed: np.ndarray | None = None) -> Candidates:
        """Return candidates with all their features.

        Parameters
        ----------
        allowed : items that may be returned, bool (n_items,) or (b, n_items).
        """
        return with_features(self.retriever.retrieve(users, self.depth, allowed), self.stats)

    def padded(self, users: Histories, allowed: np.ndarray | None = None) -> Candidates:
        """Return the candidates of a shard of users, each list padded to `depth`."""
        return with_features(self.retriever.padded(users, self.depth, allowed), self.stats)

    def to_files(self) -> dict[str, bytes]:
        """Return all that retrieval needs."""
        towers, texts = self.retriever.towers, self.retriever.texts
        assert isinstance(towers.tower, TwoTower)
        assert isinstance(towers.index, ItemIndex)
        about = {"depth": self.depth, "retrieval": self.retriever.config.model_dump(mode="json")}
        return {
            "about.json": json.dumps(about).encode(),
            "vectors.safetensors": save({"vectors": np.ascontiguousarray(towers.vectors), "text_of": np.ascontiguousarray(towers.text_of)}),
            **in_folder("collaborative", self.retriever.collaborative.to_files()),
            **in_folder("tower", towers.tower.to_files()),
            **in_folder("index", towers.index.to_files()),
            **in_folder("stats", self.stats.to_files()),
            **in_folder("texts", {} if texts is None else texts.to_files()),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> WindowRetriever:
        """Read the files of `to_files`; the towers are put on the device that is there."""
        about, arrays = json.loads(files["about.json"]), arrays_of(files, "vectors.safetensors")
        collaborative = Collaborative.from_files(Subfolder(files, "collaborative"))
        tower = TwoTower.from_files(Subfolder(files, "tower")).to(find_device("auto"))
        index, text_of = ItemIndex.from_files(Subfolder(files, "index")), arrays["text_of"]
        towers = TwoTowerRetriever(tower, arrays["vectors"], index, text_of, collaborative.popularity.ranking)
        words = Subfolder(files, "texts")
        texts = TextSimilarity.from_files(words, text_of, collaborative) if words else None
        config = RetrievalConfig.model_validate(about["retrieval"])
        stats = ItemStats.from_files(Subfolder(files, "stats"))
        return cls(HybridRetriever(collaborative, towers, config, texts=texts), stats, about["depth"])


@dataclass(frozen=True)
class WindowUsers:
    """Users whose lists are retrieved and labelled.

    Attributes
    ----------
    found : retrieval over what is known when the lists are made.
    histories : of the users, by what is known then.
    bought : of the users, by their place in `histories`.
    allowed : what the lists may hold, bool (b, n_items); None allows all.
    stands_for : see `ranking.cross_encoder.trainer.TrainingPairs`.
    most : candidates a user, at most; None for as many as are found.
    """

    found: WindowRetriever
    histories: Histories
    bought: UserItems
    allowed: np.ndarray | None = None
    stands_for: float = 1.0
    most: int | None = None

    def labelled(self, candidates: Candidates) -> TrainingPairs:
        """Return candidates of the users, and which of them were bought."""
        candidates = candidates if self.most is None else candidates.first(self.most)
        return TrainingPairs(candidates, self.bought.hits(candidates.rows), self.stands_for)

    def to_files(self) -> dict[str, bytes]:
        """Return the histories, and what the lists may hold."""
        files = self.histories.to_files()
        return files if self.allowed is None else files | {"allowed.safetensors": save({"allowed": np.packbits(self.allowed, axis=1)})}


def labelled_lists(job: TrainingJob, asked: Iterable[WindowUsers]) -> list[TrainingPairs]:
    """Return the candidates of each kind of users with all features, and which of them were bought; on the job's cluster, if it has one."""
    if job.cluster is None:
        return [each.labelled(each.found.candidates(each.histories, each.allowed)) for each in asked]
    assert job.cache is not None, "a cluster reads and writes in the cache"
    return _on_cluster(job.cluster, job.cache.absolute(), asked, job.progress)


def _on_cluster(cluster: Cluster, cache: Path, asked: Iterable[WindowUsers], progress: Progress) -> list[TrainingPairs]:
    """Return `labelled_lists`; a retriever and the users of one kind are in memory at a time, and in files after that."""
    kinds: list[WindowUsers] = []
    folders: list[tuple[str, str]] = []
    found, stored = None, ""
    for each in asked:
        if each.found is not found:
            found, stored = each.found, str(store_job_files(each.found.to_files(), cache))
        folders.append((stored, str(store_job_files(each.to_files(), cache))))
        kinds.append(replace(each, allowed=None))
    job = Job("retrieving candidates", open_candidates, {"folders": folders}, cache)
    shards = [cut([(kind, user) for user in range(len(each.histories))], SHARD) for kind, each in enumerate(kinds)]
    paths = iter(results(cluster, job, [shard for of_kind in shards for shard in of_kind], progress))
    out = [each.labelled(_joined(each, [next(paths) for _ in of_kind])) for each, of_kind in zip(kinds, shards, strict=True)]
    job.remove()
    for folder in {folder for pair in folders for folder in pair}:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def _joined(of: WindowUsers, paths: Sequence[Path]) -> Candidates:
    """Return the candidates in the results of all shards."""
    if not paths:
        return of.found.candidates(of.histories)
    parts = [load_file(path) for path in paths]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows, scores = columns.pop("rows"), columns.pop("scores")
    return Candidates(of.histories, rows, scores, columns).trimmed()


def open_candidates(folders: Sequence[Sequence[str]]) -> Callable[[Sequence[Sequence[int]], Path], None]:
    """Return the function that writes the candidates of a shard: pairs of a kind, its place in `folders`, and the place of a user in it.

    Parameters
    ----------
    folders : of the retriever and of the users of each kind.
    """
    retriever = lru_cache(1)(lambda folder: WindowRetriever.from_files(read_files(Path(folder))))  # shards are in the order of kinds
    users = lru_cache(1)(lambda folder: read_users(read_files(Path(folder))))

    def write(shard: Sequence[Sequence[int]], path: Path) -> None:
        of_retriever, of_users = folders[shard[0][0]]
        found, (histories, allowed) = retriever(of_retriever), users(of_users)
        chosen = np.array([user for _, user in shard])
        n_items = found.retriever.n_items
        mask = None if allowed is None else np.unpackbits(allowed[chosen], axis=1, count=n_items).astype(bool)
        candidates = found.padded(histories.take(chosen), mask)
        arrays = {"rows": candidates.rows, "scores": candidates.scores, **candidates.features}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    return write


def read_users(files: Mapping[str, bytes]) -> tuple[Histories, np.ndarray | None]:
    """Read the files of `WindowUsers.to_files`: histories, and what the lists may hold, bits of uint8 (b, n_items / 8)."""
    allowed = arrays_of(files, "allowed.safetensors")["allowed"] if "allowed.safetensors" in files else None
    return Histories.from_files(files), allowed
