"""A log that is taken over from the last ingest is what reading its file again would give."""

from __future__ import annotations

import json
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from features.ingest import pipeline
from features.ingest.earlier_log import EarlierLog
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import forget, load_source, stamps
from features.ingest.table_versions import in_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ITEMS = ["007,Apple juice,2.5,DE", "8,Bread,1,DE", "c-3,=Cake,3,AT", "D4,,4,AT", "E5,Egg,x,DE", "F6,Fig,6,DE"]
LOG = [
    *("ann,007,2024-01-01,1,1", "ann,8,2024-01-02,2,2", "bob,7,2024-01-03,1,3", "bob,C-3,2024-01-04,1,4", "cleo,C-3,2024-01-05,0,5"),
    *("cleo,D4,2024-01-06,1,6", "dora,unknown,2024-01-07,1,7", "dora,,2024-01-08,1,8", ",8,2024-01-09,1,9", "eve,F6,not a day,1,10"),
    *('eve,"F,""6",2024-01-10,1,11', "ann@shop.example,8,2024-01-11,1,12", "Ann@shop.example,8,2024-01-12,1,12", "gus,=x,2024-01-13,-1,13"),
]


def write(folder: Path, items: list[str], log: list[str]) -> Source:
    (folder / "items.csv").write_text("\n".join(["item_id,title,price,land", *items]))
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp,quantity,event_id", *log]))
    return Source(items=folder / "items.csv", interactions=folder / "log.csv")


def stored(out: Path) -> dict[str, object]:
    """All that a version holds, but when the files were looked at."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in in_use(out).iterdir()}
    about = json.loads((in_use(out) / "source.json").read_bytes())
    return found | {"source.json": {**about, "files": {name: one["sha256"] for name, one in about["files"].items()}}}


@pytest.fixture
def log_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for each time that the rules of the log run."""
    calls: list[int] = []
    rules = pipeline.validate_interactions

    def counted(*arguments: object) -> object:
        calls.append(1)
        return rules(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(pipeline, "validate_interactions", counted)
    return calls


def _other_title(items: list[str], log: list[str]) -> None:
    place = random.randrange(len(items))
    items[place] = f"{items[place].partition(',')[0]},Title {random.random()},5,DE"


def _swapped(items: list[str], log: list[str]) -> None:
    items.reverse()


def _new_item(items: list[str], log: list[str]) -> None:
    items.append(f"{random.choice(['unknown', 'G7', 'f 6', '=x', '7'])},New,1,DE")


def _item_gone(items: list[str], log: list[str]) -> None:
    if len(items) > 2:
        items.pop(random.randrange(1, len(items)))


def _item_refused(items: list[str], log: list[str]) -> None:
    place = random.randrange(1, len(items))
    items[place] = f"{items[place].partition(',')[0]},,1,DE"


def _more_events(items: list[str], log: list[str]) -> None:
    log.append(f"new,8,2024-02-{random.randrange(10, 28)},1,{random.random()}")


EDITS: list[Callable[[list[str], list[str]], None]] = [_other_title, _swapped, _new_item, _item_gone, _item_refused, _more_events]


@pytest.mark.parametrize("seed", range(2))
def test_after_any_edits_the_tables_are_those_of_a_first_ingest(seed: int, tmp_path: Path, log_reads: list[int]) -> None:
    random.seed(seed)
    items, log, kept = list(ITEMS), list(LOG), 0
    ingest(write(tmp_path, items, log), tmp_path / "out")
    for _ in range(3):
        random.choice(EDITS)(items, log)
        source, before = write(tmp_path, items, log), len(log_reads)
        summary = ingest(source, tmp_path / "out", keep_log=True)
        kept += summary.interactions.taken_over
        assert summary.interactions.taken_over == (len(log_reads) == before) == ("taken over from the last read" in str(summary))
        whole = ingest(source, tmp_path / "whole")
        assert stored(tmp_path / "out") == stored(tmp_path / "whole")
        assert [table.reasons for table in summary.tables] == [table.reasons for table in whole.tables]
        shutil.rmtree(tmp_path / "whole")
    assert kept


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Path]:
    """A source, and its ingested tables."""
    folder = tmp_path_factory.mktemp("shop")
    source = write(folder, ITEMS, LOG)
    ingest(source, folder / "out")
    return source, folder / "out"


def found(source: Source, out: Path, erased: ErasedUsers | None = None) -> bool:
    source = source.absolute()
    return EarlierLog.find(out, source, source, stamps(source), erased or ErasedUsers()) is not None


def test_it_is_read_again_where_something_else_decides(shop: tuple[Source, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = shop
    assert found(source, out)
    assert not found(source.model_copy(update={"drop_users": ("ann",)}), out)
    assert not found(source, out, ErasedUsers().with_users(["bob"]))
    with monkeypatch.context() as patch:
        patch.setattr("features.ingest.earlier_log.version", lambda _: "another")
        assert not found(source, out)
    monkeypatch.setattr("features.ingest.earlier_log.of_code", lambda _: "other code of the same version")
    assert not found(source, out)


@pytest.mark.parametrize("name", ["interactions.parquet", "quarantine.csv", "log_ids.parquet", "source.json", "profile.json"])
def test_it_is_read_again_where_a_stored_file_is_damaged(name: str, shop: tuple[Source, Path], tmp_path: Path) -> None:
    source, out = shop
    shutil.copytree(out, tmp_path / "out")
    assert found(source, tmp_path / "out")
    (in_use(tmp_path / "out") / name).write_bytes(b"\xff")
    assert not found(source, tmp_path / "out")


@pytest.mark.parametrize("option", ["variants", "future"])
def test_it_is_read_again_where_more_than_ids_decides(option: str, tmp_path: Path) -> None:
    source = write(tmp_path, ITEMS, [*LOG, "zoe,8,2999-01-01,1,99"] if option == "future" else LOG)
    source = source.model_copy(update={"variants": "one"}) if option == "variants" else source
    ingest(source, tmp_path / "out")
    assert not found(source, tmp_path / "out")


def test_columns_that_are_not_read_are_guessed_by_the_items(tmp_path: Path) -> None:
    source, out = write(tmp_path, ITEMS, LOG), tmp_path / "out"
    log = tmp_path / "log.csv"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([f"{lines[0]},article", *(f"{line},G{n}" for n, line in enumerate(lines[1:]))]))
    ingest(source, out)
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title,price,land", *ITEMS, *(f"G{n},Good,1,DE" for n in range(20))]))
    ingest(source, out, keep_log=True)
    ingest(source, tmp_path / "whole")
    assert stored(out) == stored(tmp_path / "whole")


SHOPIFY_ITEMS = """Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Variant SKU,Variant Price,Status
tea,Tea,Good tea,V,Drinks,,TRUE,T1,3.00,active
"""


def shopify(folder: Path) -> Source:
    """A shop whose every second order is of a guest."""
    orders = [f"#{n},{'' if n % 2 else f'ann{n}@x.org'},paid,2024-01-0{n} 10:00:00 +0000,1,Tea,3.00,T1" for n in range(1, 9)]
    header = "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku"
    (folder / "items.csv").write_text(SHOPIFY_ITEMS)
    (folder / "log.csv").write_text("\n".join([header, *orders]))
    return Source(items=folder / "items.csv", interactions=folder / "log.csv")


@pytest.mark.parametrize("keep_log", [False, True])
def test_the_stored_source_reads_what_the_given_one_did(keep_log: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = ingest(shopify(tmp_path), out)
    assert first.interactions.kept == 8, "guests' orders count"
    whole = stored(out)
    again = ingest(load_source(out), out, keep_log=keep_log)
    assert (again.interactions.kept, stored(out)) == (8, whole)


def test_no_guests_and_guests_left_open_differ(tmp_path: Path) -> None:
    source, out = shopify(tmp_path), tmp_path / "out"
    ingest(source, out)
    none = Source.model_validate(source.model_dump(exclude_unset=True) | {"guests": ()})
    assert none.record() != source.record(), "a kept log is compared by it"
    assert ingest(none, out).interactions.kept == 4
    assert ingest(load_source(out), out).interactions.kept == 4, "what was given stays"


def test_an_erasure_leaves_open_what_was_left_open(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(shopify(tmp_path), out)
    forget(out, ErasedUsers().with_users(["ann2@x.org"]))
    assert ingest(load_source(out), out).interactions.kept == 8


def test_a_record_of_an_earlier_version_has_all_keys_and_leaves_guests_open(tmp_path: Path) -> None:
    source, out = shopify(tmp_path), tmp_path / "out"
    ingest(source, out)
    record = in_use(out) / "source.json"
    about = json.loads(record.read_bytes())
    full = source.model_copy(update={"drop_users": ("ann2@x.org",)}).model_dump(mode="json")
    record.write_text(json.dumps(about | {"source": full}))
    again = load_source(out)
    assert again.model_fields_set == {"items", "interactions", "drop_users"}
    assert ingest(again, out, keep_log=True).interactions.kept == 7
