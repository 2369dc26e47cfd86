"""The index of a bundle on a Ray cluster, whose machines reach the bundle under the same path."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.mapped import MappedFiles
from recsys.compute.index_shards import ClusterIndex, index_on_cluster
from retrieval.index import index_header, shard_folder
from retrieval.index_shard import IndexShard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.compute.ray import RayCluster

TOWERS, SEARCH = "snapshot/index", "snapshot/search/index"  # folders of the two indexes


def open_shard(bundles: str, bundle_id: str, folder: str, number: int) -> IndexShard:
    """Map the files of one shard of an index, checked, and open it."""
    files = MappedFiles(Bundle.open(Path(bundles), bundle_id))
    return IndexShard.from_files(Subfolder(files, f"{folder}/{shard_folder(number)}"))


@contextmanager
def cluster_index(bundle: Bundle, cluster: RayCluster, folder: str = TOWERS) -> Iterator[ClusterIndex]:
    """Open an index of a bundle with an actor for each shard, see `index_on_cluster`."""
    _, shards = index_header(Subfolder(bundle.files, folder))
    sizes = [
        sum(entry.size for name, entry in bundle.manifest.files.items() if name.startswith(f"{folder}/{shard_folder(number)}/"))
        for number in range(shards)
    ]
    open_one = partial(open_shard, str(bundle.folder.parent.resolve()), bundle.id, folder)
    with index_on_cluster(cluster, open_one, sizes) as index:
        yield index
