"""The public shops of `recsys benchmark`: where their data comes from, and which lists are evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from features.errors import DataError
from features.ingest.source import Source
from features.ingest.table_store import load_source
from features.ingest.table_versions import INTERACTIONS, ITEMS
from recsys.offline.evaluate import evaluation_cut

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.interactions import Interactions
    from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class PublicDataset:
    """A public shop.

    Attributes
    ----------
    data : str
        The name and origin of the data, for the table's heading.
    lists : tuple of str
        The kinds of lists in its table, the main one first.
    cut : str or None
        The ISO date on which the test begins; None: `evaluation_cut`.
    """

    data: str
    lists: tuple[str, ...]
    cut: str | None = None

    def cut_of(self, log: Interactions) -> int:
        """Return when the test begins, seconds since the epoch."""
        return evaluation_cut(log) if self.cut is None else int(datetime.fromisoformat(self.cut).replace(tzinfo=UTC).timestamp())


PACKAGED = "completejourney"
SHOPS = {
    PACKAGED: PublicDataset("Complete Journey (84.51°): a year of a grocer's households", ("all", "new", "few", "cold")),
    "beauty": PublicDataset("Amazon Beauty, 5-core of 2014 (McAuley, UCSD)", ("unseen", "few")),
    "games": PublicDataset("Amazon Video Games, 5-core of 2018 (McAuley, UCSD)", ("unseen", "few")),
    "online_retail": PublicDataset("Online Retail (Chen 2015, UCI)", ("all", "repeat", "new", "few"), "2011-10-09"),
}


def source_of(name: str, data: Path | None) -> Source:
    """Return where a shop's tables are read from.

    Raises
    ------
    DataError: the files are missing, or a folder is given for the packaged data set.
    """
    if name == PACKAGED:
        if data is not None:
            raise DataError(f"{PACKAGED} is packaged, and --data {data} was given: leave --data out")
        return Source(dataset=PACKAGED)
    if data is None:
        raise DataError(f"{name} is not packaged: give --data DIR, a folder that holds {name}/{ITEMS} and {name}/{INTERACTIONS}")
    for folder in (data / name, data):
        items, log = folder / ITEMS, folder / INTERACTIONS
        if items.is_file() and log.is_file():
            return Source(items=items, interactions=log).absolute()
    raise DataError(f"{data} holds neither {name}/{ITEMS} and {name}/{INTERACTIONS} nor the two files themselves: give --data DIR")


def ingest_once(source: Source, workspace: Workspace) -> str | None:
    """Ingest a shop and return the summary; do nothing and return None if this source has been ingested before."""
    try:
        if load_source(workspace.data) == source:
            return None
    except DataError:  # nothing has been ingested, or it is damaged
        pass
    return str(workspace.ingest(source))
