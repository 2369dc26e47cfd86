"""The folder that a shop's recommender lives in, and what stands where in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
from filelock import FileLock, Timeout

from features.catalog import Catalog
from features.clock import with_clock
from features.errors import DataError
from features.ingest import IngestSummary, ingest
from features.interactions import EVENT_WEIGHTS, Interactions
from features.stored import load_tables, remove_leftovers
from features.tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.source import Source


@dataclass(frozen=True)
class Workspace:
    """Paths below one folder.

    data/: what was ingested, in canonical form. models/: what training made. bundles/: what is published.
    cache/: what can be made again (kept states, vectors). reports/: what evaluation wrote. erased.json: who is to stay forgotten.
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
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def rules(self) -> Path:
        return self.root / "rules.toml"

    @property
    def erased(self) -> Path:
        return self.root / "erased.json"

    @contextmanager
    def alone(self, seconds: float = 0) -> Iterator[None]:
        """The only one who changes data and bundles; waits so long for another to end. A process that is killed leaves no lock behind.

        Raises
        ------
        DataError: another process is at it, or the folder cannot be written.
        """
        lock = self.root / ".lock"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # Of the kernel's, by the open file: it ends with the process, however that ends.
            with FileLock(lock, timeout=seconds):
                yield
        except Timeout:
            raise DataError(f"another refresh, ingest or erasure is at work in {self.root}: wait until it is done") from None
        except OSError as error:
            raise DataError(f"{self.root} cannot be written ({error.strerror or error}): check free space and rights") from error

    def ingest(self, source: Source) -> IngestSummary:
        """Read a source in, without those who were erased. Raises what `features.ingest.ingest` does, and what `alone` does."""
        with self.alone():
            return self.ingest_alone(source)

    def ingest_alone(self, source: Source) -> IngestSummary:
        """`ingest` for who is alone already."""
        remove_leftovers(self.data)
        return ingest(source, self.data, Tombstones.read(self.erased))

    def load(self, weights: Mapping[str, float] = EVENT_WEIGHTS) -> tuple[Catalog, Interactions]:
        """The catalogue and the log that were ingested, on a clock of steps if need be (`features.clock`). weights: what an event counts.

        Raises
        ------
        DataError: nothing was ingested, or the tables are damaged.
        """
        try:
            items, log = load_tables(self.data)
        except DataError as error:
            advice = "run `recsys ingest --dataset completejourney`, or `recsys ingest --items FILE --interactions FILE`"
            raise DataError(f"no data in {self.root}: {advice}") from error
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"the tables in {self.data} cannot be read: {' '.join(str(error).split())}: run `recsys ingest` again"
            ) from error
        catalog = Catalog.from_frame(items)
        return catalog, with_clock(Interactions.from_frame(log, catalog, weights))
