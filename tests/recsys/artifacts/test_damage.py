"""Damaged and strange input through the command line: one clear line or a sensible answer, and what was there before is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.ingest.table_versions import in_use
from recsys.artifacts.bundle import Bundle, current_id

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recsys.calls import Command, Said


@dataclass(frozen=True)
class Files:
    """A shop's two files, and `ingest` of them."""

    folder: Path
    command: Command

    def ingest(self, items: str | bytes | None = None, log: str | bytes | None = None, suffix: str = "csv") -> Said:
        words: list[object] = ["ingest"]
        for option, given, default in (("items", items, ITEMS), ("interactions", log, LOG)):
            path = self.folder / f"{option}.{suffix}"
            content = default if given is None else given
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            words += [f"--{option}", path]
        return self.command(*words)

    def state(self) -> dict[str, bytes]:
        """Everything in the workspace but the caches."""
        root = self.folder / "workspace"
        return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and root / "cache" not in path.parents}


ITEMS = "item_id,title,category,price\nA,Apple tea,tea,1.5\nB,Rye bread,bakery,2\nC,Green tea,tea,3\n"
LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{user},{item},2024-01-{1 + (user * 5 + day) % 28:02}\n" for user in range(8) for day, item in enumerate("ABCA"[: 2 + user % 3])
)


@pytest.fixture
def files(command: Command, tmp_path: Path) -> Files:
    return Files(tmp_path, command)


@pytest.fixture
def built(files: Files) -> Files:
    """Three items, ingested and published without training."""
    assert files.ingest().code == 0
    assert files.command("build-index").code == 0
    return files


def test_a_csv_cut_in_mid_row(files):
    said = files.ingest(log=LOG[:-9])
    assert said.code == 0
    assert "23 read = 22 kept + 1 quarantined" in said.out
    assert files.command("build-index").code == 0
    assert files.command("recommend", "--user", "u1", "--json").answer["items"]


def test_a_csv_cut_within_quotes(files):
    said = files.ingest(items=ITEMS + 'D,"Tea with a "" and no e')
    assert said.code == 0
    assert "quarantined" in said.out


def test_nul_and_lone_surrogate_in_titles(files):
    titles = {"A": "Apple\\u0000 tea", "B": "Rye \\ud800 bread", "C": "\\u0000"}
    items = "".join(f'{{"item_id": "{item}", "title": "{title}"}}\n' for item, title in titles.items())
    log = "".join(f'{{"user_id": "u{n}", "item_id": "{item}", "timestamp": "2024-01-0{1 + n}"}}\n' for n, item in enumerate("AABBC"))
    assert files.ingest(items, log, "jsonl").code == 0
    assert files.command("build-index").code == 0
    found = files.command("recommend", "--json").answer
    assert {item["title"] for item in found["items"]} == {"Apple tea", "Rye \ufffd bread"}
    assert files.command("recommend", "--user", "u1").code == 0
    assert files.command("search", "apple \x00", "--json").answer["items"]


def test_the_same_in_csv(files):
    assert files.ingest(items=ITEMS.encode().replace(b"Rye bread", b"Rye \xed\xa0\x80\x00bread")).code == 0
    assert files.command("build-index").code == 0
    assert files.command("similar", "--item", "A", "--json").answer["items"]


def test_ids_with_commas_and_quotes(files):
    log = LOG + '"o\'hara, kate","A",2024-01-03\n"o\'hara, kate","C,2",2024-01-04\n'
    assert files.ingest(ITEMS + '"C,2","Tea, iced",tea,1\n', log).code == 0
    assert files.command("build-index").code == 0
    answer = files.command("recommend", "--user", "o'hara, kate", "--json").answer
    assert answer["user_id"] == "o'hara, kate"
    assert {item["item_id"] for item in answer["items"]} >= {"A", "C,2"}
    (files.folder / "users.csv").write_text('user_id\n"o\'hara, kate"\nu1\n')
    said = files.command("recommend", "--users-file", "users.csv", "--out", "lists.csv", "--exclude", '"C,2"')
    assert said.code == 0
    lists = pl.read_csv(files.folder / "lists.csv")
    assert lists["user_id"].unique(maintain_order=True).to_list() == ["o'hara, kate", "u1"]
    assert "C,2" not in lists["item_id"].to_list()


def test_a_negative_price_and_two_products_with_one_id(files):
    said = files.ingest(items=ITEMS + "D,Vase,home,-5\nA,Apple tea again,tea,9\n")
    assert "items: 5 read = 3 kept + 2 quarantined" in said.out
    assert "negative price" in said.out
    assert "duplicate item_id" in said.out
    files.command("build-index")
    assert {item["price"] for item in files.command("recommend", "--json").answer["items"]} == {2.0, 3.0, 9.0}


def test_a_date_of_1970_is_no_date(files):
    said = files.ingest(log=LOG + "u1,A,1970-01-01\nu1,A,0\nu1,A,soon\n")
    assert "3 quarantined" in said.out
    assert "timestamp before 1971" in said.out


ONE = "item_id,title\nA,Apple\n"


def test_a_catalogue_with_one_item(files):
    log = "user_id,item_id,timestamp\nu1,A,2024-01-01\nu2,A,2024-01-02\nu2,A,2024-01-09\n"
    assert files.ingest(ONE, log).code == 0
    assert "1 items, 1 of 1 texts encoded" in files.command("build-index").out
    for words in (["--user", "u2"], ["--user", "nobody"], [], ["--diversity", "1"], ["-k", "99"]):
        assert [item["item_id"] for item in files.command("recommend", *words, "--json").answer["items"]] == ["A"]
    assert files.command("recommend", "--user", "u2", "--new-only", "--json").answer["items"] == []
    assert files.command("recommend", "--history", "A", "--json").answer["items"] == []
    assert files.command("similar", "--item", "A", "--json").answer["items"] == []
    assert files.command("search", "apple", "--json").answer["items"][0]["item_id"] == "A"
    assert "nobody" in files.command("train").error or "cut" in files.command("train").error


WRONG_FILES = {
    "empty log": ({"log": "user_id,item_id,timestamp\n"}, "the log has no rows"),
    "log of no bytes": ({"log": ""}, "interactions.csv"),
    "empty catalogue": ({"items": "item_id,title\n"}, "the catalogue has no rows"),
    "unknown items only": (
        {"log": "user_id,item_id,timestamp\nu,X,2024-01-01\nu,Y,2024-01-02\n"},
        "no item of the log is in the catalogue",
    ),
    "no column of users": ({"log": "item_id,timestamp\nA,2024-01-01\n"}, "has no user_id"),
    "not a table": ({"items": b"\x89PNG\r\n\x1a\n\x00\x00"}, "items.csv"),
    "all rows bad": ({"log": "user_id,item_id,timestamp\nu,A,1970-01-01\n"}, "the one row of the log cannot be used"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_what_cannot_be_ingested_leaves_all_as_it_was(built, name):
    content, says = WRONG_FILES[name]
    before = built.state()
    assert says in built.ingest(**content).error
    assert built.state() == before
    assert built.command("recommend", "--user", "u1", "--json").answer["items"]


@pytest.mark.parametrize("name", ["empty log", "unknown items only"])
def test_a_refresh_from_such_files_fails_and_the_bundle_stays(built, name):
    bundle = current_id(built.folder / "workspace" / "bundles")
    content, says = WRONG_FILES[name]
    (built.folder / "interactions.csv").write_text(content["log"])
    assert says in built.command("refresh").error
    assert built.command("recommend", "--json").answer["bundle_id"] == bundle


WRONG_REQUESTS = {
    "recommend --history X,A": "item 'X' is not in the catalogue of 3 items",
    "recommend --user u1 --exclude X": "item 'X' is not in the catalogue",
    "recommend --category bakry": "did you mean 'bakery'",
    "similar --item X": "item 'X' is not in the catalogue",
    "train --until 1999-12-31": "no event lies before the date",
    "train --until 2024-01-01T01:00": "expected at least",
    "recommend --users-file none.csv --out lists.csv": "none.csv",
}


@pytest.mark.parametrize("line", WRONG_REQUESTS)
def test_what_cannot_be_answered_is_said_in_one_line(built, line):
    before = built.state()
    assert WRONG_REQUESTS[line] in built.command(*line.split()).error
    assert built.state() == before
    assert not (built.folder / "lists.csv").exists()


def test_an_unknown_user_is_no_error(built):
    answer = built.command("recommend", "--user", "nobody", "--json").answer
    assert "no history here" in answer["fallback"]
    assert len(answer["items"]) == 3
    assert "Not personal" in built.command("recommend", "--user", "nobody").out


@pytest.mark.parametrize("k", [4, 10_000_000])
def test_more_than_the_catalogue_holds(built, k):
    for words in (
        ["recommend"],
        ["recommend", "--user", "u1"],
        ["recommend", "--history", "A"],
        ["similar", "--item", "A"],
        ["search", "tea"],
    ):
        items = built.command(*words, "-k", k, "--json").answer["items"]
        assert len({item["item_id"] for item in items}) == len(items) == (2 if "A" in words else 3)


def test_what_was_never_sold_is_an_answer_where_nothing_else_passes_the_rules(files):
    assert files.ingest(ITEMS + "D,Glass vase,home,4\nE,Clay vase,home,5\n").code == 0
    assert files.command("build-index").code == 0
    for words in ([], ["--user", "u1"], ["--history", "A"]):
        items = files.command("recommend", "--category", "home", *words, "--json").answer["items"]
        assert {item["item_id"] for item in items} == {"D", "E"}
        assert not any("popular" in item["reason"] for item in items)


@pytest.mark.parametrize("line", ["recommend", "build-index", "train", "evaluate", "refresh", "similar --item A", "search tea", "verify"])
def test_a_workspace_that_is_not_there(command, tmp_path, line):
    assert "run `recsys" in command(*line.split(), workspace=tmp_path / "nowhere").error
    assert not (tmp_path / "nowhere" / "bundles").exists()


def test_a_bundle_with_a_flipped_bit(built):
    workspace = built.folder / "workspace"
    before = built.command("recommend", "--user", "u1", "--json").answer
    bundle = Bundle.open(workspace / "bundles")
    path = next(path for path in sorted(bundle.folder.rglob("*")) if path.name == "vectors.safetensors")
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    for line in ("recommend --user u1", "similar --item A", "search tea"):
        assert "vectors.safetensors: its sha256 is not the published one: run `recsys rollback`" in built.command(*line.split()).error
    assert built.command("verify").code == 1
    assert "no earlier bundle" in built.command("rollback").error
    assert built.command("build-index").code == 0
    after = built.command("recommend", "--user", "u1", "--json").answer
    assert after["items"] == before["items"]
    assert after["bundle_id"] != before["bundle_id"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_ingested_tables_that_are_damaged(built, damage):
    path = in_use(built.folder / "workspace" / "data") / "items.parquet"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert "run `recsys ingest" in built.command("build-index").error
    assert built.command("recommend", "--user", "u1", "--json").answer["items"]
    assert built.ingest().code == 0
    assert built.command("build-index").code == 0


def test_a_configuration_with_an_unknown_key(built):
    before = built.state()
    (built.folder / "tiny.toml").write_text("[tower]\ndimension = 3\n")
    for line in ("train", "build-index", "recommend --user u1"):
        assert "unknown key tower.dimension" in built.command(*line.split()).error
    (built.folder / "tiny.toml").write_text(f'[encoder]\nmodel = "{built.folder}"\n')
    assert f"cannot load the text encoder '{built.folder}'" in built.command("build-index").error
    assert built.state() == before


def test_too_short_a_log_can_still_be_published(files):
    log = "user_id,item_id,timestamp\nu1,A,2024-01-01T10:00\nu1,B,2024-01-01T11:00\n"
    assert files.ingest(log=log).code == 0
    assert "build the index without training" in files.command("train").error
    assert not (files.folder / "workspace" / "models").exists()
    assert files.command("build-index").code == 0
    assert [item["item_id"] for item in files.command("recommend", "--user", "u1", "--json").answer["items"]] == ["C"]
    assert len(files.command("recommend", "--user", "u1", "--allow-seen", "--json").answer["items"]) == 3


def test_a_shop_that_only_looks(files):
    """Views without one purchase: nothing to learn from, but something to answer with."""
    log = "user_id,item_id,timestamp,event\n" + "".join(f"u{n},{'ABC'[n % 3]},2024-01-{1 + n:02},view\n" for n in range(20))
    assert files.ingest(log=log).code == 0
    assert files.command("build-index").code == 0
    answer = files.command("recommend", "--user", "u1", "--json").answer
    assert len(answer["items"]) == 3
    assert not any("bought" in item["reason"] for item in answer["items"])
    stranger = files.command("recommend", "--json").answer
    assert {item["reason"] for item in stranger["items"]} == {"few recent buyers"}
    assert {item["probability"] for item in stranger["items"]} == {0.0}
    assert files.command("train").error
    assert files.command("evaluate").error
