"""The folder that a shop's recommender lives in, and what stands where in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import FileLock, Timeout

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from features.data.step_time import with_step_time
from features.errors import DataError, disk_errors
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import IngestSummary, ingest
from features.ingest.table_store import load_tables, table_digests
from features.ingest.table_versions import INTERACTIONS, ITEMS, in_use
from recsys.settings.events import EventWeights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.ingest.source import Source
    from recsys.workspace.event_rules import Merged
    from recsys.workspace.events import EventStore


@dataclass(frozen=True)
class Workspace:
    """Paths below one folder.

    data/: what was ingested, in canonical form: CURRENT names the version in use. models/: what training made. bundles/: what is published.
    cache/: what can be made again (kept states, vectors). reports/: what evaluation wrote. erased.json: who is to stay forgotten.
    service/: events that came in over HTTP, keys (hashed), the salt of its logs.
    rules.toml: what must never be recommended, if somebody has written it.
    """

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def extracts(self) -> Path:
        return self.cache / "extract"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def rules(self) -> Path:
        return self.root / "rules.toml"

    @property
    def erased(self) -> Path:
        return self.root / "erased.json"

    @property
    def service(self) -> Path:
        return self.root / "service"

    @cached_property
    def events(self) -> EventStore:
        """What the service was told since the sources were read."""
        from recsys.workspace.events import EventStore

        return EventStore(self.service / "events.sqlite")

    @contextmanager
    def alone(self, seconds: float = 0) -> Iterator[None]:
        """The only one who changes data and bundles; waits so long for another to end. A process that is killed leaves no lock behind.

        Raises
        ------
        DataError: another process is at it, or the system refuses to read or write a file.
        """
        # Of the kernel's, by the open file: it ends with the process, however that ends.
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
        except pl.exceptions.PanicException as error:  # its threads panic where the system gives them no handle or memory
            raise DataError(f"polars gave up ({' '.join(str(error).split())[:200]}): check `ulimit -n` and free memory") from error
        finally:
            lock.release()

    def ingest(self, source: Source) -> IngestSummary:
        """Read a source in, without those who were erased. Raises what `features.ingest.pipeline.ingest` does, and what `alone` does."""
        with self.alone():
            return self.ingest_alone(source, self.files_of(source))

    def files_of(self, source: Source) -> Source:
        """The source as files: of a database, what it says now. Raises DataError where it says nothing."""
        if source.sql is None:
            return source
        from features.ingest.read_database import extract

        return extract(source, self.extracts, ErasedUsers.read(self.erased))

    def ingest_alone(self, source: Source, files: Source) -> IngestSummary:
        """`ingest` for who is alone already, and has the source's files."""
        return ingest(source, self.data, ErasedUsers.read(self.erased), files)

    def load(self, events: EventWeights | Mapping[str, Any] | None = None) -> tuple[Catalog, Interactions]:
        """The catalogue and the log that were ingested, in step time if need be (`features.data.step_time`).

        events: what an event counts, and which of the service's do; None: the defaults.

        Raises
        ------
        DataError: nothing was ingested, or the tables are damaged.
        """
        config = EventWeights.model_validate({} if events is None else events)
        items, log = self._tables()
        catalog = Catalog.from_frame(items)
        return catalog, with_step_time(Interactions.from_frame(self._merged(log, config).log, catalog, config.weights))

    def prune_events(self, config: EventWeights) -> int:
        """Remove the service's events that the sources stand for by now, and old ones. Returns how many."""
        if not self.events.last():
            return 0
        return self.events.remove(self._merged(self._tables()[1], config).spent)

    def _tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        try:
            with disk_errors(self.data, "read"):
                return load_tables(self.data)
        except DataError as error:
            if all((in_use(self.data) / name).is_file() for name in (ITEMS, INTERACTIONS)):
                raise
            advice = "run `recsys ingest --dataset completejourney`, or `recsys ingest --items FILE --interactions FILE`"
            raise DataError(f"no data in {self.root}: {advice}") from error

    def state(self) -> tuple[list[str] | None, int]:
        """Of what `load` reads, told without parsing it: SHA-256 of each table, None where they are not there, and the last event's number.

        Events that are removed change nothing of what is loaded: erased ones are left out, spent ones the sources have.
        """
        return table_digests(self.data), self.events.last()

    def _merged(self, log: pl.DataFrame, config: EventWeights) -> Merged:
        """The log, and what the service was told that is not in it."""
        from recsys.workspace.event_rules import merge

        events = self.events.frame()
        gone = ErasedUsers.read(self.erased).among(events["user_id"].unique()) if len(events) else []
        return merge(log, events.filter(~pl.col("user_id").is_in(gone)), config)
