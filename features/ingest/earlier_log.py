"""The log of the version in use, which the next ingest takes over where nothing that decides about it has changed.

What decides is the log's file, the source's settings, the list of erased users, this program, and what the catalogue makes of the ids that
the log names. Of each id that is stored in `LOG_IDS`, so that a new catalogue can be asked without the log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import DataError
from features.ingest.formats.layout import KEYS
from features.ingest.partitions import link_or_copy
from features.ingest.profile.measure import FORMS_OF, catalogue_facts, table_profile
from features.ingest.profile.model import DataProfile
from features.ingest.rules.log_rules import IN_THE_FUTURE
from features.ingest.summary import TableSummary
from features.ingest.table_store import load_profile
from features.ingest.table_versions import INTERACTIONS, ITEMS, LOG_IDS, QUARANTINE, SOURCE, in_use, log_files
from features.names import ITEM_ID
from features.storage.digests import of_code, of_file, of_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from features.ingest.profile.measure import IngestedTable
    from features.ingest.rules.item_links import ItemLinks
    from features.ingest.source import Source
    from features.ingest.table_store import Stamp

LOG = "log"  # of SOURCE


class LogReading(BaseModel):
    """What the next ingest has to know of a log besides its file, its source and its profile.

    Attributes
    ----------
    program : version of the program that read it, and a digest of its code: an editable installation changes under one version.
    erased : digest of the list of erased users.
    stored : SHA-256 of the files that are taken over.
    currency : of its values; None if none is named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    program: str
    erased: str
    stored: tuple[str, ...]
    currency: str | None

    @classmethod
    def store(cls, folder: Path, ids: pl.DataFrame, erased: ErasedUsers, currency: str | None) -> Self:
        """Write what became of the ids (`ids_of`) beside the log's files, and return the facts."""
        ids.write_parquet(folder / LOG_IDS)
        return cls.of(folder, erased, currency)

    @classmethod
    def of(cls, folder: Path, erased: ErasedUsers, currency: str | None) -> Self:
        """Return the facts of a log whose files lie in a folder."""
        stored = tuple(of_file(path) for path in (*log_files(folder), folder / QUARANTINE, folder / LOG_IDS))
        program = f"{version('two-tower-recsys')} {of_code('features')}"
        return cls(program=program, erased=of_json(sorted(erased.users)), stored=stored, currency=currency)


@dataclass(frozen=True)
class EarlierLog:
    """A log that was ingested before from the same file.

    Attributes
    ----------
    folder : of the version that has it.
    profile : of that version.
    ids : see `ids_of`.
    currency : see `LogReading`.
    """

    folder: Path
    profile: DataProfile
    ids: pl.DataFrame
    currency: str | None

    @classmethod
    def find(cls, out: Path, source: Source, files: Source, seen: Mapping[str, Stamp] | None, erased: ErasedUsers) -> Self | None:
        """Return the log of the version in use in `out`, None if it may be another one today, or is damaged.

        Parameters
        ----------
        source, files : what the user gave, and the files that are read.
        seen : stamps of the files.
        """
        if not seen or files.items is None or files.interactions is None:
            return None
        try:
            folder = in_use(out)
            about, profile = json.loads((folder / SOURCE).read_bytes()), load_profile(out)
            reading = LogReading.model_validate(about[LOG])
            same_file = about["files"][str(files.interactions)]["sha256"] == seen[str(files.interactions)].sha256
            ids = pl.read_parquet(folder / LOG_IDS)
            if reading != LogReading.of(folder, erased, reading.currency):
                return None
        except (OSError, ValueError, KeyError, TypeError, DataError, ValidationError, pl.exceptions.PolarsError):
            return None
        if profile is None or not same_file or about["source"] != source.record():
            return None
        if IN_THE_FUTURE in profile.interactions.quarantined:  # a time that was refused may be valid by now
            return None
        return cls(folder, profile, ids, reading.currency)

    @property
    def used(self) -> pl.DataFrame:
        """The ids that the log names, as `features.ingest.rules.item_links.used_ids`."""
        return self.ids.select("len", item_id="named")

    @property
    def rows(self) -> pl.LazyFrame:
        """The stored rows as those of a checked log."""
        return pl.scan_parquet(log_files(self.folder)).with_columns(reason=pl.lit(None, pl.String))

    def holds(self, links: ItemLinks, items: pl.LazyFrame) -> bool:
        """Return whether the log is the same with another catalogue, given by its checked rows: each id of the log means what it meant."""
        if not ids_of(self.used, links).equals(self.ids):
            return False
        if not self.profile.interactions.not_read:
            return True
        # Columns that are not read are guessed by these ids.
        before, after = pl.scan_parquet(self.folder / ITEMS), items.filter(pl.col("reason").is_null())
        first, second = (frame.select(ITEM_ID).head(FORMS_OF).collect() for frame in (before, after))
        return first.equals(second)

    def keep(self, out: Path, quarantine: IO[bytes]) -> TableSummary:
        """Add the stored rows to a new version, and the refused ones to its quarantine file."""
        for path in log_files(self.folder):
            link_or_copy(path, out / path.name)
        name = INTERACTIONS.partition(".")[0]
        refused = pl.read_csv(self.folder / QUARANTINE, infer_schema=False).filter(pl.col("table") == name)
        refused.write_csv(quarantine, include_header=quarantine.tell() == 0)
        table = self.profile.interactions
        return TableSummary(name, table.read, table.kept, table.quarantined, taken_over=True)

    def profile_with(self, source: Source, items: IngestedTable, catalogue: pl.LazyFrame) -> DataProfile:
        """Return the profile of another catalogue and of this log."""
        assert items.raw is not None
        item_ids = set(catalogue.select(ITEM_ID).head(FORMS_OF).collect()[ITEM_ID])
        of_items = table_profile("items", items, source, item_ids)
        facts = catalogue_facts(catalogue, of_items, items.raw)
        return DataProfile(items=of_items, interactions=self.profile.interactions, catalogue=facts, log=self.profile.log)


def ids_of(used: pl.DataFrame, links: ItemLinks) -> pl.DataFrame:
    """Return what becomes of the ids that a log names: `named`, `len` rows, `item_id` of the catalogue, `reason` of a refusal."""
    rows = used.lazy().with_columns(named="item_id", reason=pl.lit(None, pl.String), offence=pl.lit(None, pl.String))
    return links.mark(rows).select("named", "len", "item_id", "reason").sort("named").collect()


def decides_by_ids(files: Source, items: pl.LazyFrame) -> bool:
    """Return whether the catalogue, given by its raw rows, decides about a log by its ids alone.

    It does not where the log's rows find their items by sku or name, nor where variants become one item.
    """
    return files.items is not None and files.variants == "items" and not set(KEYS) & set(items.collect_schema())
