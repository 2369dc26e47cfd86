"""The command line's contract: options, streams, exit codes, one-line errors. What the commands do is tested elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import DataError
from features.ingest.profile.model import DataProfile
from features.ingest.table_store import load_tables
from recsys.artifacts.bundle import current_id
from recsys.artifacts.publish import publish
from recsys.cli.main import run
from recsys.recommend.answers import Recommendation
from recsys.recommend.request import RecommendOptions

ROOT = Path(__file__).parents[3]


def options_of(fake_shop: Any, line: list[str]) -> RecommendOptions:
    assert run(line) == 0
    return fake_shop.calls[-1][2]


def test_recommend_takes_every_option(fake_shop: Any) -> None:
    line = "recommend --user 123 -k 5 --history A,B --category tea --max-price 9.5 --in-stock --exclude C --new-only"
    expected = RecommendOptions(
        history=("A", "B"),
        k=5,
        category="tea",
        max_price=9.5,
        in_stock=True,
        exclude=("C",),
        new_only=True,
        diversity=0.3,
        explain=True,
    )
    assert options_of(fake_shop, [*line.split(), "--diversity", "0.3", "--explain"]) == expected
    assert fake_shop.calls[-1][3] == ["123"]


def test_recommend_for_an_unknown_visitor(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert options_of(fake_shop, ["recommend"]) == RecommendOptions()
    assert options_of(fake_shop, ["recommend", "--max-per-group", "3"]).max_per_group == 3
    out = capsys.readouterr().out
    assert "an unknown visitor" in out
    assert "Not personal: popular" in out


def test_lists_of_ids_may_be_given_twice_and_quoted(fake_shop: Any) -> None:
    options = options_of(fake_shop, ["recommend", "--history", "A, B", "--history", '"a,b",c', "--allow-seen"])
    assert options.history == ("A", "B", "a,b", "c")
    assert options.new_only is False


def test_recommend_json_is_stable(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recommend", "--user", "1", "--json"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert list(answer) == ["user_id", "bundle_id", "fallback", "items"]
    assert (answer["user_id"], answer["bundle_id"], answer["fallback"]) == ("1", "b1", None)
    assert answer["items"][0] == {
        "rank": 1,
        "item_id": "sku-7",
        "title": "Green tea",
        "category": "tea",
        "price": 4.5,
        "probability": 0.25,
        "reason": "bought 6 times, last 13 days ago",
    }
    assert captured.err == ""


def test_contributions_on_request() -> None:
    item = Recommendation(1, "a", "A", None, None, 0.5, "", (("recency", 0.8), ("price_fit", -0.1)))
    assert item.to_dict()["contributions"] == {"recency": 0.8, "price_fit": -0.1}


def test_control_characters_of_a_title_are_escaped(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recommend", "--user", "\x1b]0;owned\x07"]) == 0
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x00\x07\u202e")
    assert "[red]a [31m b c d[/red]" in out


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_lists_of_many_users(fake_shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    users, out = tmp_path / "users.csv", tmp_path / f"lists.{suffix}"
    users.write_text("name,user_id\nAda,007\nBob,b\nAgain,007\nNobody,\n")
    assert run(["recommend", "--users-file", str(users), "-k", "2", "--out", str(out)]) == 0
    read = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}[suffix]
    rows = read(out, **({"schema_overrides": {"user_id": pl.String}} if suffix == "csv" else {}))
    assert rows.columns == ["user_id", "item_id", "rank", "probability", "reason"]
    assert rows["user_id"].to_list() == ["007", "007", "b", "b"]
    assert rows.row(1)[1:] == ("x,y", 2, 0.0625, 'close to "Tea", that you bought')
    assert "2 users, 4 rows" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_train_options(fake_shop: Any) -> None:
    line = "--workspace w train --until 2017-12-04T01:00:00+01:00 --preset full --device cpu --seed 7"
    assert run(line.split()) == 0
    assert fake_shop.calls == [("train", Path("w"), datetime(2017, 12, 4), "full", "cpu", 7, None)]
    assert run(["train", "--until", "2017-12-04"]) == 0
    assert fake_shop.calls[-1] == ("train", Path("workspace"), datetime(2017, 12, 4), "quick", "auto", 0, None)


@pytest.mark.parametrize(("option", "warm_start"), [("--continue", True), ("--from-scratch", False)])
def test_train_goes_on_or_begins_from_nothing(fake_shop: Any, option: str, warm_start: bool) -> None:
    assert run(["train", option]) == 0
    assert fake_shop.calls[-1][-1] is warm_start


@pytest.mark.parametrize("line", ["build-index", "refresh"])
def test_publishing_commands(fake_shop: Any, capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert run([line]) == 0
    assert fake_shop.calls == [(line.replace("-", "_"), Path("workspace"))]
    assert capsys.readouterr().out in ("published\n", "refreshed\n")


def test_refresh_goes_on_after_an_error(fake_shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        fake_shop.error = DataError("the source is away") if len(waits) == 1 else None

    monkeypatch.setattr("recsys.refresh.refresh.time.sleep", sleep)
    assert run(["refresh", "--every", "15m"]) == 130
    assert len(fake_shop.calls) == 3
    assert all(0 < seconds <= 900 for seconds in waits)


def test_similar(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["similar", "--item", "sku-1", "-k", "3", "--json"]) == 0
    item = {"rank": 1, "item_id": "sku-7", "title": "Green tea", "category": "tea", "price": None, "score": 0.875}
    assert json.loads(capsys.readouterr().out) == {"query": "sku-1", "bundle_id": "b1", "items": [item]}
    assert fake_shop.calls == [("similar", "sku-1", 3, 1, False)]
    fake_shop.calls.clear()
    assert run(["similar", "--item", "sku-1", "--variants", "--max-per-group", "4"]) == 0
    assert fake_shop.calls == [("similar", "sku-1", 10, 4, True)]
    capsys.readouterr()


def test_evaluate(fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("eval.reports.evaluation.table", lambda report: f"{report.users} users judged")
    assert run(["evaluate", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["metrics", "slices", "stages", "baselines", "split", "bundle_id", "reasons", "exposure", "exploration"]
    assert run(["evaluate"]) == 0
    assert capsys.readouterr().out == "3 users judged\n"
    assert fake_shop.calls == [("evaluate", Path("workspace"))] * 2


def test_ingest_reads_the_files_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text("item_id,title\na,Tea\nb,Cup\n")
    Path("log.csv").write_text("user_id,item_id,timestamp\n1,a,2026-01-01\n1,b,nonsense\n")
    assert run(["ingest", "--items", "items.csv", "--interactions", "log.csv"]) == 0
    assert "quarantined" in capsys.readouterr().out
    assert load_tables(Path("workspace/data"))[1].height == 1


ITEMS = "item_id,title,in_stock\na,Tea,yes\nb,Cup,no\n"
LOG = "user_id,item_id,timestamp,Event\n1,a,2026-01-01,view\n1,b,nonsense,view\n"


def test_a_check_says_how_an_ingest_would_read_and_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text(ITEMS)
    Path("log.csv").write_text(LOG)
    files = ["--items", "items.csv", "--interactions", "log.csv"]
    assert run(["ingest", "--check", *files]) == 0
    said = capsys.readouterr().out
    assert "in_stock  not read (is it available?)" in said
    assert "read as event (our name in another spelling)" in said
    assert "interactions: 2 read = 1 kept + 1 quarantined (1 timestamp not understood)" in said
    assert run(["ingest", "--check", "--json", *files]) == 0
    profile = DataProfile.model_validate_json(capsys.readouterr().out)
    assert (profile.interactions.read, profile.interactions.quarantined) == (2, {"timestamp not understood": 1})
    assert not Path("workspace").exists()
    assert run(["ingest", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  not read: in_stock (is it available?)" in lines
    counts = [line for line in lines if " read = " in line]
    assert [line.split(":")[0] for line in counts] == ["items", "interactions"]
    assert all(line.startswith("note: ") for line in lines[lines.index(counts[1]) + 1 :])


def test_a_check_of_what_cannot_be_ingested_fails_and_leaves_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text(ITEMS)
    Path("log.csv").write_text(LOG)
    assert run(["ingest", "--items", "items.csv", "--interactions", "log.csv"]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("workspace").rglob("*")}
    Path("other.csv").write_text(LOG.replace("user_id", "customer_id"))
    capsys.readouterr()
    for more in ([], ["--json"]):
        assert run(["ingest", "--check", *more, "--items", "items.csv", "--interactions", "other.csv"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert "is it customer_id? map it" in err
    assert {path: path.stat().st_mtime_ns for path in Path("workspace").rglob("*")} == before
    assert run(["ingest", "--json"]) == 2
    assert "--check" in capsys.readouterr().err


def test_doctor_says_how_the_columns_were_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text(ITEMS)
    Path("log.csv").write_text(LOG)
    assert run(["ingest", "--items", "items.csv", "--interactions", "log.csv"]) == 0
    capsys.readouterr()
    run(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["items"]["status"] == "warn"
    assert "not read: in_stock (is it available?)" in checks["items"]["found"]
    assert checks["interactions"]["status"] == checks["log"]["status"] == "ok"
    assert "event from Event" in checks["interactions"]["found"]


def test_verify_and_rollback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundles = tmp_path / "bundles"
    line = ["--workspace", str(tmp_path)]
    assert run([*line, "verify"]) == 1
    assert "recsys build-index" in capsys.readouterr().err
    first, second = (publish(bundles, {"a": content}, {}) for content in (b"1", b"2"))
    assert run([*line, "verify"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"bundle {second} is whole: 1 files, 0.0 MiB, 0.0 MiB of the disk added, in use",
        f"bundle {first} is whole: 1 files, 0.0 MiB, 0.0 MiB of the disk added",
    ]
    (bundles / second / "a").write_bytes(b"3")
    assert run([*line, "verify"]) == 1
    out = capsys.readouterr().out
    assert f"bundle {second} is damaged: a" in out
    assert f"bundle {first} is whole" in out
    assert run([*line, "rollback"]) == 0
    assert first in capsys.readouterr().out
    assert current_id(bundles) == first


def test_doctor_looks_at_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["torch"]["status"] == "ok"
    assert checks["data"]["status"] == checks["bundles"]["status"] == "warn"
    bundle_id = publish(Path("workspace/bundles"), {"a": b"1"}, {})
    Path("workspace/bundles", bundle_id, "a").write_bytes(b"2")
    Path("recsys.toml").write_text("nonsense = 1")
    assert run(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [text for text in lines if text.startswith("fail")]
    assert len(failed) == 2
    assert any("nonsense" in text for text in failed)
    assert any(bundle_id in text for text in failed)


@pytest.mark.parametrize(("unread", "status"), [(0, "ok"), (2, "warn")])
def test_doctor_tells_what_the_encoder_cannot_read(
    unread: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(Path("workspace/bundles"), {"a": b"1"}, {"coverage": {"texts": 7, "unread": unread, "item": "tea-1", "example": "ชาดำ"}})
    assert run(["doctor", "--json"]) == 0
    (check,) = [check for check in json.loads(capsys.readouterr().out) if check["name"] == "texts"]
    assert check["status"] == status
    assert ("multilingual" in check["advice"]) == ("tea-1" in check["found"]) == (unread > 0)


def test_doctor_notices_both_builds_of_faiss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.cli import doctor

    monkeypatch.setattr(doctor, "_version", lambda name: "1.15.1")
    check = doctor._faiss()
    assert (check.status, "pip uninstall -y faiss-cpu faiss-gpu" in check.advice) == ("fail", True)


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "recsys", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options)


def test_help_imports_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'faiss', 'polars', 'numpy') if m in sys.modules]"
    code = f"import sys; from recsys.cli.main import run; run(['--help']); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_program_itself(tmp_path: Path) -> None:
    assert "Usage: recsys" in program("--help").stdout
    done = program("--workspace", str(tmp_path), "verify")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")


def test_a_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([sys.executable, "-m", "recsys", "--help"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (1, "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["keys", "add", "web", "--scope", "read"]])
def test_an_output_that_cannot_be_written_is_blamed_itself(arguments: list[str], tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "recsys", "--workspace", str(tmp_path), *arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output cannot be written (No space left on device)")
    assert done.stderr.count("\n") == 1


def test_a_closed_output_is_no_error() -> None:
    command = f"exec {sys.executable} -m recsys --version >&-"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_escapes_in_a_name_reach_no_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user\x1b]0;title\x07,item_id,timestamp\nu,1,2024-01-01\n")
    done = program("--workspace", str(tmp_path / "\x1b[31mws"), "ingest", "--interactions", str(log))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


def test_the_former_name_of_unsold_still_works_and_says_the_new_one(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = RecommendOptions(unsold=True)
    assert options_of(fake_shop, ["recommend", "--unsold"]) == wanted
    assert capsys.readouterr().err == ""
    assert options_of(fake_shop, ["recommend", "--debuts"]) == wanted
    assert capsys.readouterr().err.count("--debuts is called --unsold now") == 1
