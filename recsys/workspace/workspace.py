"""The folder of a shop's recommender, and the paths of its parts."""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from filelock import FileLock, Timeout

from features.data.campaigns import Campaigns
from features.data.catalog import Catalog
from features.data.customers import Customers
from features.data.help_pages import HelpPages
from features.data.interactions import Interactions
from features.data.queries import Queries
from features.data.reviews import Reviews
from features.data.times.step_time import with_step_time
from features.errors import DataError, disk_errors, one_line
from features.ingest.erased_users import ErasedUsers
from features.ingest.partitions import of_partition
from features.ingest.pipeline import dry_run, ingest
from features.ingest.table_store import load_optional, table_digests
from features.ingest.table_versions import INTERACTIONS, ITEMS, PROFILE, in_use, log_files, present, read, table_files
from features.storage.atomic import write_whole
from recsys.settings.events import EventWeights
from recsys.workspace.paths import WorkspacePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.model import DataProfile
    from features.ingest.source import Source
    from features.ingest.summary import IngestSummary
    from recsys.workspace.event_rules import Merged

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Workspace(WorkspacePaths):
    """The folder of one shop: its tables, and the lock of those who change it."""

    def write_benchmark(self, name: str, result: str) -> Path:
        """Write the JSON of a benchmark to reports/, log where it lies, and return its path."""
        path = self.reports / f"benchmark-{name}.json"
        write_whole(path, result)
        _log.info("result: %s", path)
        return path

    @contextmanager
    def alone(self, seconds: float = 0) -> Iterator[None]:
        """Hold the lock under which data and bundles change. A killed process leaves no lock behind.

        Parameters
        ----------
        seconds : how long to wait for another process.

        Raises
        ------
        DataError
            If another process holds the lock, or a file cannot be read or written.
        """
        # A lock of the kernel on the open file: it ends with the process, however that ends.
        lock = FileLock(self.root / ".lock", timeout=seconds)
        with disk_errors(self.root, "written"):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise DataError(f"another refresh, ingest or erasure is at work in {self.root}: wait until it is done") from None
        try:
            with disk_errors(self.root):
                yield
        except pl.exceptions.PanicException as error:  # its threads panic without file handles or memory
            raise DataError(f"polars gave up ({one_line(error)[:200]}): check `ulimit -n` and free memory") from error
        finally:
            lock.release()

    def ingest(self, source: Source) -> IngestSummary:
        """Ingest a source without erased users. Raises what `features.ingest.pipeline.ingest` and `alone` raise."""
        with self.alone():
            return self.ingest_alone(source, self.files_of(source))

    def files_of(self, source: Source) -> Source:
        """Return the source as files; a database is extracted first. Raises DataError if it cannot be read."""
        if source.sql is None:
            return source
        from features.ingest.readers.database import extract

        return extract(source, self.extracts, ErasedUsers.read(self.erased))

    def ingest_alone(
        self, source: Source, files: Source, accept: Callable[[DataProfile], None] | None = None, keep_log: bool = False
    ) -> IngestSummary:
        """Ingest a source whose files are ready; `accept` and `keep_log` are as in `features.ingest.pipeline.ingest`.

        The caller holds the lock.
        """
        try:
            return ingest(source, self.data, ErasedUsers.read(self.erased), files, accept, keep_log)
        finally:
            self.remove_private(source, files)

    def remove_private(self, source: Source, files: Source) -> None:
        """Remove the extract of a database's reviews, which holds what an ingest masks. Each refresh reads them as a whole."""
        if source.sql is not None and source.sql.reviews is not None and files.reviews is not None:
            files.reviews.unlink(missing_ok=True)

    def dry_run(self, source: Source) -> IngestSummary:
        """Read and judge a source as `ingest` does, outside the workspace, and store nothing. Raises what `ingest` raises."""
        erased = ErasedUsers.read(self.erased)
        with tempfile.TemporaryDirectory(prefix="recsys-check-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            files = source
            if source.sql is not None:
                from features.ingest.readers.database import extract

                files = extract(source, folder / "extract", erased)
            return dry_run(source, folder, erased, files)

    def load(self, events: EventWeights | Mapping[str, Any] | None = None) -> tuple[Catalog, Interactions]:
        """Return the ingested catalogue and log, in step time if its clock asks for it (`features.data.times.clock`).

        Parameters
        ----------
        events : weights of events, and the rule for the service's events; None takes the defaults.

        Raises
        ------
        DataError
            If nothing was ingested, or the tables are damaged.
        """
        config = EventWeights.model_validate({} if events is None else events)

        def tables(folder: Path) -> tuple[Catalog, Interactions]:
            catalog = Catalog.from_frame(pl.read_parquet(present(folder / ITEMS)))
            parts = (merged.log for merged in self._merged(_whole_log(folder), config))
            return catalog, Interactions.from_parts(parts, catalog, config.weights)

        catalog, interactions = self._read(tables)
        return catalog, with_step_time(interactions, None if config.clock == "auto" else config.clock)

    def load_catalog(self) -> Catalog:
        """Return the ingested catalogue alone, as `load`."""
        return Catalog.from_frame(self._read(lambda folder: pl.read_parquet(present(folder / ITEMS))))

    def load_queries(self, catalog: Catalog, user_ids: Sequence[str] | np.ndarray = ()) -> Queries | None:
        """Return the ingested search log over the rows of `load`; None where the shop has none.

        Its times are always those of the source, also where the log is in step time.

        Parameters
        ----------
        user_ids : of the log, whose rows its users keep (`Interactions.user_ids`).

        Raises
        ------
        DataError
            If nothing was ingested, or the table is damaged.
        """
        frame = self._optional("queries")
        return None if frame is None else Queries.of(frame, catalog, user_ids)

    def load_reviews(self, catalog: Catalog, user_ids: Sequence[str] | np.ndarray = ()) -> Reviews | None:
        """Return the ingested reviews over the rows of `load`; None where the shop has none. See `load_queries`."""
        frame = self._optional("reviews")
        return None if frame is None else Reviews.of(frame, catalog, user_ids)

    def load_help_pages(self) -> HelpPages | None:
        """Return the ingested help pages; None where the shop has none. Raises DataError like `load_queries`."""
        frame = self._optional("help_pages")
        return None if frame is None else HelpPages.of(frame)

    def load_customers(self) -> Customers | None:
        """Return the ingested customers; None where the shop has no such table. Raises DataError like `load_queries`."""
        frame = self._optional("customers")
        return None if frame is None else Customers.of(frame)

    def load_campaigns(self) -> Campaigns | None:
        """Return the ingested campaigns; None where the shop has none. Raises DataError like `load_queries`."""
        frame = self._optional("campaigns")
        return None if frame is None else Campaigns.of(frame)

    def _optional(self, name: OptionalName) -> pl.DataFrame | None:
        with disk_errors(self.data, "read"):
            return load_optional(self.data, name)

    def prune_events(self, config: EventWeights) -> int:
        """Remove old events of the service and those that the sources contain by now. Returns how many."""
        if not self.events.last():
            return 0
        spent = self._read(lambda folder: [number for merged in self._merged(log_files(folder), config) for number in merged.spent])
        return self.events.remove(spent)

    def _read(self, reading: Callable[[Path], T]) -> T:
        """Read the tables in use; `reading` gets their folder."""
        try:
            with disk_errors(self.data, "read"):
                return read(self.data, reading)
        except DataError as error:
            if all(table_files(in_use(self.data), name) for name in (ITEMS, INTERACTIONS)):
                raise
            advice = "run `recsys ingest --dataset completejourney`, or `recsys ingest --items FILE --interactions FILE`"
            raise DataError(f"no data in {self.root}: {advice}") from error

    def state(self) -> tuple[list[str] | None, int]:
        """Return the state of what `load`, `load_queries` and `load_reviews` read: SHA-256 of the
        tables, None without any, and the last event's number.

        Removing events does not change what is loaded: erased ones are left out, and the sources contain the spent ones.
        """
        return table_digests(self.data), self.events.last()

    def _merged(self, files: list[Path], config: EventWeights) -> Iterator[Merged]:
        """Yield each partition of the log merged with events of the service that it lacks."""
        from recsys.workspace.event_rules import SourceFacts, merge

        events = self.events.frame()
        gone = ErasedUsers.read(self.erased).among(events["user_id"].unique()) if len(events) else []
        events = events.filter(~pl.col("user_id").is_in(gone))
        facts = SourceFacts.of(pl.scan_parquet(files), events, config) if len(events) else None
        for part, path in enumerate(files):
            yield merge(pl.read_parquet(path), of_partition(events, part, len(files)), config, facts)


def _whole_log(folder: Path) -> list[Path]:
    """Return the files of the log of a version, which have as many rows as its ingest kept: half of the partitions look like a log too.

    Raises
    ------
    DataError
        If they have not.
    """
    files = log_files(folder)
    try:
        kept = json.loads((folder / PROFILE).read_bytes())["interactions"]["kept"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # of an earlier version of this program
        return files
    rows = pl.scan_parquet(files).select(pl.len()).collect().item()
    if rows != kept:
        raise DataError(f"{folder} is damaged: its log has {rows:,} rows, expected {kept:,}: run `recsys ingest` again")
    return files
