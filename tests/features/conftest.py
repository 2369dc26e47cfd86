"""A shop's files, ingested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.summary import IngestSummary
from features.ingest.table_store import load_optional, load_quarantine, load_tables
from features.ingest.table_versions import in_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Ingested:
    """What came of it. `refused`: row, reason, value of each quarantined row."""

    summary: IngestSummary
    items: pl.DataFrame
    log: pl.DataFrame
    refused: list[tuple[int, str, str]]


@dataclass(frozen=True)
class SearchLog:
    """What came of a search log. `refused`: row, reason, value of each of its quarantined rows; `notes`: those on it."""

    summary: IngestSummary
    rows: pl.DataFrame
    refused: list[tuple[int, str, str]]
    notes: list[str]


@pytest.fixture
def searched(tmp_path: Path) -> Callable[..., SearchLog]:
    """Ingests a search log, given as text, beside a small shop, with further options of the source."""

    def make(queries: str, items: str = "item_id,title\nA,Apple\nB,Bread\n", **options: object) -> SearchLog:
        texts = {"items": items, "interactions": "user_id,item_id,timestamp\nu1,A,2026-01-01\nu2,B,2026-01-02\n", "queries": queries}
        for name, text in texts.items():
            options[name] = tmp_path / f"{name}.csv"
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        summary = ingest(Source.model_validate(options), tmp_path / "out")
        rows = load_optional(tmp_path / "out", "queries")
        assert rows is not None
        assert summary.optional["queries"].read == summary.optional["queries"].kept + summary.optional["queries"].quarantined
        assert summary.optional["queries"].kept == rows.height
        frame = load_quarantine(tmp_path / "out").filter(pl.col("table") == "queries")
        refused = [(int(row), reason, value or "") for _, row, reason, value in frame.iter_rows()]
        start = "note: the search log: "
        notes = [note.removeprefix(start) for note in summary.notes if note.startswith(start) or "search log" in note]
        return SearchLog(summary, rows, refused, notes)

    return make


@dataclass(frozen=True)
class ReviewTable:
    """What came of reviews. `refused`: row, reason, value of each of the quarantined rows; `notes`: those on them."""

    summary: IngestSummary
    rows: pl.DataFrame
    refused: list[tuple[int, str, str]]
    notes: list[str]
    folder: Path


@pytest.fixture
def reviewed(tmp_path: Path) -> Callable[..., ReviewTable]:
    """Ingests reviews, given as text, beside a small shop, with further options of the source."""

    def make(
        reviews: str, items: str = "item_id,title\nA,Apple\nB,Bread\n", log_item: str = "A", suffix: str = "csv", **options: object
    ) -> ReviewTable:
        texts = {"items.csv": items, "interactions.csv": f"user_id,item_id,timestamp\nu1,{log_item},2026-01-01\n"}
        for name, text in {**texts, f"reviews.{suffix}": reviews}.items():
            options[name.partition(".")[0]] = tmp_path / name
            (tmp_path / name).write_text(text, encoding="utf-8")
        summary = ingest(Source.model_validate(options), tmp_path / "out")
        rows = load_optional(tmp_path / "out", "reviews")
        assert rows is not None
        assert summary.optional["reviews"].read == summary.optional["reviews"].kept + summary.optional["reviews"].quarantined
        assert summary.optional["reviews"].kept == rows.height
        frame = load_quarantine(tmp_path / "out").filter(pl.col("table") == "reviews")
        refused = [(int(row), reason, value or "") for _, row, reason, value in frame.iter_rows()]
        start = "note: the table of reviews: "
        notes = [note.removeprefix(start) for note in summary.notes if note.startswith(start)]
        return ReviewTable(summary, rows, refused, notes, in_use(tmp_path / "out"))

    return make


@pytest.fixture
def ingested(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingests a log and items (None: taken from the log) given as text, with further options of the source."""

    def make(log: str, items: str | None = "item_id,title\nA,Apple\nB,Bread\n", suffix: str = "csv", **options: object) -> Ingested:
        for name, text in {"interactions": log, "items": items}.items():
            if text is not None:
                options[name] = tmp_path / f"{name}.{suffix}"
                (tmp_path / f"{name}.{suffix}").write_text(text, encoding="utf-8")
        summary = ingest(Source.model_validate(options), tmp_path / "out")
        frame = load_quarantine(tmp_path / "out")
        refused = [(int(row), reason, value or "") for _, row, reason, value in frame.iter_rows()]
        return Ingested(summary, *load_tables(tmp_path / "out"), refused)

    return make
