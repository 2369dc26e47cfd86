"""A log in partitions: the same rows, counts and quarantine as in one file, whole versions, and files that nobody wrote again."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import features.ingest.pipeline
from features.errors import DataError
from features.ingest import partitions
from features.ingest.erased_users import ErasedUsers
from features.ingest.partitions import MOST, of_partition, partition_of, partitions_for
from features.ingest.pipeline import ingest
from features.ingest.readers import raw_table
from features.ingest.rules import refusals
from features.ingest.source import Source
from features.ingest.table_store import forget, load_profile, load_quarantine, load_tables, table_digests, users_among
from features.ingest.table_versions import in_use, log_files

USERS = [f"user-{number}" for number in range(40)]


def write_log(folder: Path, rows: list[tuple[str, ...]]) -> Source:
    (folder / "items.csv").write_text("item_id,title\nA,Apple\nB,Bread\n")
    lines = [",".join(row) for row in rows]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp,event,event_id", *lines, ""]))
    return Source(items=folder / "items.csv", interactions=folder / "log.csv")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    rows = [(USERS[n % 40], "AB"[n % 2], f"2024-01-{1 + n % 28:02}", "purchase", "") for n in range(400)]
    rows += [(USERS[0], "X", "2024-01-01", "view", ""), ("", "A", "2024-01-01", "view", ""), (USERS[1], "A", "never", "view", "")]
    return write_log(tmp_path, rows)


def parted(monkeypatch: pytest.MonkeyPatch, rows: int = 100) -> None:
    """Let a partition have a few rows."""
    monkeypatch.setattr(partitions, "ROWS_A_GIB", rows / 4)


@pytest.mark.parametrize("lost", [0, 2, 7])
def test_a_partition_that_is_missing_is_told(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    parted(monkeypatch)
    ingest(source, tmp_path / "out")
    path = log_files(in_use(tmp_path / "out"))[lost]
    assert len(log_files(path.parent)) == 8
    path.unlink()
    with pytest.raises(DataError, match=rf"interactions-00{lost}.parquet does not exist: run `recsys ingest`"):
        load_tables(tmp_path / "out")
    assert table_digests(tmp_path / "out") is None


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*USERS[:6], "ü@shop.de", "=1+2", ""]),
            st.sampled_from(["A", "B", "X"]),
            st.sampled_from(["2024-01-01", "2024-02-03 10:11:12", "never", "2999-01-01"]),
            st.sampled_from(["purchase", "view", "odd", ""]),
            st.sampled_from(["", "e1", "e2", "e3"]),
        ),
        min_size=10,
        max_size=60,
    ),
    st.sampled_from([1, 3, 9]),
)
def test_any_table_in_any_number_of_partitions_is_that_table(tmp_path_factory: pytest.TempPathFactory, rows: list, held: int) -> None:
    folder = tmp_path_factory.mktemp("shop")
    source = write_log(folder, [*rows, ("u", "A", "2024-01-01", "purchase", "")])
    whole = ingest(source, folder / "whole")
    with pytest.MonkeyPatch.context() as patch:
        parted(patch, held)
        patch.setattr(refusals, "AT_ONCE", 4)
        patch.setattr(raw_table, "PIECE", 7)
        found = ingest(source, folder / "parted")
    assert found.interactions == whole.interactions
    assert found.notes == whole.notes
    assert load_profile(folder / "parted") == load_profile(folder / "whole")
    assert load_quarantine(folder / "parted").equals(load_quarantine(folder / "whole"))
    log, files = load_tables(folder / "whole")[1], log_files(in_use(folder / "parted"))
    assert len(files) == partitions_for_rows(len(rows) + 1, held)
    for part, path in enumerate(files):
        assert pl.read_parquet(path).equals(of_partition(log, part, len(files))), "in the order of the source"


def partitions_for_rows(rows: int, held: int) -> int:
    parts = 1
    while rows > parts * held:
        parts *= 2
    return parts


def test_a_users_partition_never_changes() -> None:
    check = 0xCBF43926  # the check value of CRC-32
    assert [partition_of("123456789", parts) for parts in (1, 2, 4, 1024)] == [0, check % 2, check % 4, check % 1024]
    assert [partition_of(user, 1024) for user in ("user-1", "ü", "", "4711")] == [532, 469, 0, 119]


def test_the_setting_decides_how_many_there_are() -> None:
    assert [partitions_for(rows, 4) for rows in (0, 4_000_000, 4_000_001, 100_000_000)] == [1, 1, 2, 32]
    assert partitions_for(100_000_000, 8) == 16
    assert partitions_for(10**13, 4) == MOST


@pytest.mark.parametrize("memory", [0, -1, 0.1, 5000, float("nan"), "much"])
def test_a_memory_that_is_none_is_refused(memory: object) -> None:
    with pytest.raises(ValidationError, match="memory"):
        Source.model_validate({"items": "items.csv", "interactions": "log.csv", "memory": memory})


def test_a_failed_ingest_leaves_the_partitions_of_before(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parted(monkeypatch)
    ingest(source, tmp_path / "data")
    before = table_digests(tmp_path / "data")
    right = features.ingest.pipeline.write_log

    def interrupted(log: pl.LazyFrame, folder: Path, parts: int) -> None:
        right(log, folder, parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(features.ingest.pipeline, "write_log", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(source, tmp_path / "data")
    assert table_digests(tmp_path / "data") == before
    assert before is not None
    assert len(before) == 1 + 8
    assert len(list((tmp_path / "data").iterdir())) == 2, "CURRENT and one version"


def test_a_refresh_writes_only_partitions_that_changed(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parted(monkeypatch)
    ingest(source, tmp_path / "data")
    first = log_files(in_use(tmp_path / "data"))
    assert source.interactions is not None
    with source.interactions.open("a") as log:
        log.write(f"{USERS[7]},A,2024-02-01,purchase,\n")
    ingest(source, tmp_path / "data")
    second = log_files(in_use(tmp_path / "data"))
    again = [old.samefile(new) for old, new in zip(first, second, strict=True)]
    assert again == [part != partition_of(USERS[7], len(second)) for part in range(len(second))]
    assert load_tables(tmp_path / "data")[1].height == 401


def test_erased_users_leave_all_partitions(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parted(monkeypatch)
    gone = ErasedUsers().with_users(USERS[:3])
    ingest(source, tmp_path / "data")
    ingest(source, tmp_path / "data")  # a version before
    assert users_among(tmp_path / "data", gone) == set(USERS[:3])
    assert forget(tmp_path / "data", gone) == 30
    assert users_among(tmp_path / "data", gone) == set()
    assert load_tables(tmp_path / "data")[1]["user_id"].n_unique() == 37
    profile = load_profile(tmp_path / "data")
    assert profile is not None
    assert profile.interactions.kept == 370
    counts = ingest(source, tmp_path / "data", gone).interactions
    assert counts.reasons["of an erased user"] == 32
    assert users_among(tmp_path / "data", gone) == set()
