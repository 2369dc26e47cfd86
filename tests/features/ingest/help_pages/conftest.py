"""A shop of two items, and what is read of help pages beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.summary import IngestSummary
from features.ingest.table_store import load_optional

Ingested = Callable[..., tuple[IngestSummary, pl.DataFrame]]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\nB,Bread\n")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,A,2026-01-01\nu2,B,2026-01-02\n")
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")


@pytest.fixture
def ingested(source: Source, tmp_path: Path) -> Ingested:
    """Return the summary and the stored help pages of a path; each row that was read is kept or quarantined."""

    def read(path: Path, **keys: object) -> tuple[IngestSummary, pl.DataFrame]:
        summary = ingest(source.model_copy(update={"help_pages": path, **keys}), tmp_path / "out")
        frame, counts = load_optional(tmp_path / "out", "help_pages"), summary.optional["help_pages"]
        assert frame is not None
        assert counts is not None
        assert counts.read == counts.kept + counts.quarantined == frame.height + counts.quarantined
        return summary, frame

    return read
