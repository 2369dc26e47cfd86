"""Partitions of a log that is larger than memory: all rows of a user lie in one file, so that users can be read file by file.

A small log is one file, interactions.parquet. A large one is interactions-000.parquet and so on, a power of two of them. The CRC-32
(ISO 3309, as in zlib) of a user's id in UTF-8, modulo the number of partitions, says which one is the user's: it is the same in every
version of every library. Rows keep the order of the source within a partition.
"""

from __future__ import annotations

import os
import shutil
import zlib
from typing import TYPE_CHECKING

import polars as pl

from features.data.log.rows import INTERACTION_COLUMNS
from features.ingest.table_versions import INTERACTIONS, partition_name, table_files
from features.names import USER_ID
from features.storage.digests import of_file

if TYPE_CHECKING:
    from pathlib import Path

ROWS_A_GIB = 1_000_000  # rows of a partition for each GiB of `source.memory`: loading them takes a third of it
MOST = 1024  # partitions; each is an open file while the log is written
_HELD = 4_000_000  # rows of all partitions that the writer holds before it writes them
_PART = "_part"


def partitions_for(rows: int, memory: float) -> int:
    """Return how many partitions a log of `rows` needs, so that each is loaded within a third of `memory` GiB: a power of two."""
    parts = 1
    while parts < MOST and rows > parts * memory * ROWS_A_GIB:
        parts *= 2
    return parts


def partition_of(user_id: str, parts: int) -> int:
    """Return the partition of a user."""
    return zlib.crc32(user_id.encode("utf-8", "surrogatepass")) % parts


def of_partition(frame: pl.DataFrame, part: int, parts: int) -> pl.DataFrame:
    """Return the rows of a partition's users."""
    return frame if parts == 1 else frame.filter(_partitions(frame[USER_ID], parts) == part)


def write_log(log: pl.LazyFrame, folder: Path, parts: int) -> list[Path]:
    """Write valid rows of a log to a folder, and return the files, in the order of the partitions."""
    columns = log.select(list(INTERACTION_COLUMNS))
    if parts == 1:
        columns.sink_parquet(folder / INTERACTIONS)
        return [folder / INTERACTIONS]
    key = pl.col(USER_ID).map_batches(lambda ids: _partitions(ids, parts), return_dtype=pl.UInt32, is_elementwise=True)
    target = pl.PartitionBy(
        folder,
        key=_PART,
        include_key=False,
        file_path_provider=lambda found: partition_name(found.partition_keys[_PART].item()),
        approximate_bytes_per_file=None,
    )
    columns.with_columns(key.alias(_PART)).sink_parquet(target, row_group_size=_HELD // parts)
    for part in range(parts):  # no file was written for a partition without rows
        if not (path := folder / partition_name(part)).exists():
            pl.DataFrame(schema=INTERACTION_COLUMNS).write_parquet(path)
    return table_files(folder, INTERACTIONS)


def share_unchanged(new: Path, current: Path) -> int:
    """Make the partitions of a new version that equal those of the current one the same files. Returns how many do.

    A partition whose users did nothing takes no room on the disk again.
    """
    shared = 0
    for path in table_files(new, INTERACTIONS):
        before = current / path.name
        if not before.is_file() or before.samefile(path):
            continue
        if before.stat().st_size == path.stat().st_size and of_file(before) == of_file(path):
            linked = path.with_suffix(".link")
            try:
                os.link(before, linked)
            except OSError:  # a file system without links
                return shared
            os.replace(linked, path)
            shared += 1
    return shared


def link_or_copy(before: Path, path: Path) -> None:
    """Make a stored file that of a new version too."""
    try:
        os.link(before, path)
    except OSError:  # a file system without links
        shutil.copyfile(before, path)


def _partitions(user_ids: pl.Series, parts: int) -> pl.Series:
    return pl.Series(_PART, [partition_of(user, parts) for user in user_ids.to_list()], dtype=pl.UInt32)
