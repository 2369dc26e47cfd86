"""The folder that a shop's recommender lives in, and what stands where in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.catalog import Catalog
from features.clock import with_clock
from features.errors import DataError
from features.ingest import load_tables
from features.interactions import EVENT_WEIGHTS, Interactions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """Paths below one folder.

    data/: what was ingested, in canonical form. models/: what training made. bundles/: what is published.
    cache/: what can be made again (kept states, vectors). reports/: what evaluation wrote.
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
