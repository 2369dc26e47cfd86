"""The command line when something is wrong: exit codes, one line on stderr, nothing half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from features.errors import DataError
from recsys.cli.list_files import read_users
from recsys.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

USAGE = [
    "",
    "nonsense",
    "--nonsense",
    "recommend --nonsense",
    "recommend -k 0",
    "recommend -k many",
    "recommend --diversity 1.5",
    "recommend --diversity nan",
    "recommend --max-price -1",
    "recommend --max-price nan",
    "recommend --history A,,B",
    "recommend --history ,",
    "recommend --out lists.csv",
    "recommend --users-file users.txt",
    "recommend --users-file users.txt --out lists.xlsx",
    "recommend --users-file users.txt --out lists.csv --user 1",
    "train --until yesterday",
    "train --preset slow",
    "train --seed -1",
    "refresh --every 0m",
    "refresh --every soon",
    "similar",
    "search",
    "search tea -k 0",
    "search tea --max-price -1",
    "search tea --min-price nan",
    "search tea --exclude A,,B",
    "search tea --queries-file q.csv --out o.csv",
    "search tea --out o.csv",
    "search --queries-file q.csv",
    "search --queries-file q.csv --out o.xlsx",
    "search --queries-file q.csv --out o.csv --user 1",
    "search --queries-file q.csv --out o.csv --json",
    "search --queries-file q.csv --out o.csv --explain",
    "ingest --dataset nonsense",
    "ingest --dataset completejourney --items a.csv",
    "ingest --items a.csv",
]


@pytest.mark.parametrize("line", USAGE)
def test_wrong_usage_is_2_and_nothing_runs(fake_shop: Any, capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert run(line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    if line:
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert "--help" in captured.err
    assert fake_shop.calls == []


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_errors_of_the_user(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_shop.error = DataError("item 'a\nb' is unknown: check the id")
    assert run(["recommend"]) == 1
    assert one_line(capsys) == "error: item 'a b' is unknown: check the id\n"


def test_unexpected_errors_say_how_to_see_more(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_shop.error = ZeroDivisionError("division by zero")
    assert run(["recommend"]) == 1
    assert "-v" in one_line(capsys)
    assert run(["-v", "recommend"]) == 1
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert captured.err.splitlines()[-1].startswith("error: unexpected ZeroDivisionError")


def test_interrupted(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_shop.error = KeyboardInterrupt()
    assert run(["recommend"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_configuration_is_one_line(fake_shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recsys.toml").write_text("[encoder]\nmodle = 1\n")
    assert run(["recommend"]) == 1
    assert "unknown key encoder.modle" in one_line(capsys)
    assert run(["--config", "absent.toml", "recommend"]) == 1
    assert "absent.toml" in one_line(capsys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("users.csv", "id\n1\n", "no column user_id"),
        ("users.csv", "", "holds no user ids"),
        ("users.txt", "\n\n", "holds no user ids"),
        ("users.parquet", "nonsense", "cannot be read"),
    ],
)
def test_files_without_users(fake_shop: Any, tmp_path: Path, capsys, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "out.csv").write_text("what was there before")
    assert run(["recommend", "--users-file", name, "--out", "out.csv"]) == 1
    assert message in one_line(capsys)
    assert (tmp_path / "out.csv").read_text() == "what was there before"


@pytest.mark.parametrize(("name", "head"), [("users.txt", ""), ("users.csv", "user_id\n")])
def test_a_byte_order_mark_is_no_part_of_an_id(tmp_path: Path, name: str, head: str) -> None:
    (tmp_path / name).write_text(f"{head}u1\r\nu2\n", encoding="utf-8-sig")
    assert read_users(tmp_path / name) == (["u1", "u2"], ())


@pytest.mark.parametrize("text", ["user_id\n5001.0\n5002\n", "user_id\n 5001\n5002\u200b\n", 'user_id\n"=""5001"""\n5002\n5001\n'])
def test_users_of_a_file_are_spelt_like_the_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "users.csv").write_text(text, encoding="utf-8")
    assert read_users(tmp_path / "users.csv")[0] == ["5001", "5002"]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("users.csv", "User ID;name\n5001;a\nZoë;b\n", "utf-8"),
        ("users.csv", "user_id\tname\n5001\tÀ\nZoë\tb\n", "utf-16"),
        ("users.csv", "user_id\n5001\nZoë\n", "cp1252"),
        ("users.txt", "5001\n\nZoë\n", "utf-16"),
        ("users.txt", "user_id\n5001\nZoë\n", "utf-8"),
        ("users.txt", "user_id,name\n5001,a\nZoë,b\n", "utf-8"),
        ("users", "5001\nZoë\n", "cp1252"),
        ("users.json", '[{"user_id": 5001}, {"user_id": "Zoë"}]', "utf-8"),
        ("users.jsonl", '{"user_id": 5001}\n{"user_id": "Zoë"}\n', "utf-8"),
    ],
)
def test_any_table_of_users_is_read(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    (tmp_path / name).write_text(text, encoding=encoding)
    assert read_users(tmp_path / name)[0] == ["5001", "Zoë"]


@pytest.mark.parametrize(("name", "head"), [("users.txt", ""), ("users.csv", "user_id\n")])
def test_what_stands_for_no_user_is_left_out_of_a_file_and_told(tmp_path: Path, name: str, head: str) -> None:
    (tmp_path / name).write_text(f"{head}u1\nNA\nN/A\n(not set)\n5.90123E+12\n", encoding="utf-8")
    users, notes = read_users(tmp_path / name)
    assert users == ["u1"]
    assert "3 rows have no user" in notes[0]
    assert "lost digits" in notes[1]


def test_an_option_in_the_wrong_place(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recommend", "--workspace", "shop"]) == 2
    assert "--workspace: it goes before the command. Try" in one_line(capsys)
    assert fake_shop.calls == []


def test_out_into_a_folder_that_is_not_there(fake_shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "users.txt").write_text("1\n")
    assert run(["recommend", "--users-file", "users.txt", "--out", "nowhere/out.parquet"]) == 1
    assert "cannot write nowhere/out.parquet" in one_line(capsys)


def test_ingest_without_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["ingest"]) == 1
    assert "--dataset completejourney" in one_line(capsys)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "cannot be written (No space left on device)"),
        (FileNotFoundError(2, "No such file or directory", "vocabulary.json"), "vocabulary.json cannot be read (No such file"),
    ],
)
def test_a_disk_error_is_not_reported_as_a_bug(error: OSError, message: str, fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_shop.error = error
    assert run(["recommend"]) == 1
    said = one_line(capsys)
    assert message in said
    assert "unexpected" not in said
