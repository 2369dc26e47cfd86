"""The encoding of a file: what its bytes say counts more than the key, and a guess is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from tests.features.ingest.readers.conftest import Read, rows

TEXT = "item_id,title,price\n1,Café crème,3\n2,Thé vert,4\n"
TITLES = [(1, "Café crème"), (2, "Thé vert")]


@pytest.mark.parametrize("key", [None, "cp1252", "utf-8", "latin-1"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_what_the_bytes_say_wins_over_the_key(encoding: str, key: str | None, read: Read) -> None:
    table = read(TEXT.encode(encoding), encoding=key)
    assert rows(table) == TITLES
    assert table.notes == ()


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("cp1252", ["Café crème", "Größe XL", "Jalapeño – 5 €", "Señor Müller’s"]),
        ("cp1252", ["René"]),
        ("cp1252", ["PÂTÉ EN CROÛTE", "ÉCLAIR AU CAFÉ"]),
        ("cp1250", ["Zażółć gęślą jaźń", "Świeży chleb"]),
        ("cp1251", ["Чай зелёный", "Хлеб"]),
        ("koi8_r", ["Чай зелёный", "Хлеб"]),
        ("cp1253", ["Πράσινο τσάι", "Ψωμί"]),
        ("mac_roman", ["Café crème"]),
        ("cp850", ["Café crème", "Größe"]),
    ],
)
def test_a_guess_is_right_and_told(encoding: str, titles: list[str], read: Read) -> None:
    lines = ["item_id,title,price", *[f"{i},{title},1" for i, title in enumerate(titles, start=1)]]
    table = read("\n".join(lines).encode(encoding))
    assert [title for _, title in rows(table)] == titles
    (note,) = table.notes
    assert note.startswith(f"note: items.csv is not UTF-8; read as {encoding} (e.g. ")
    assert "source.encoding" in note


@pytest.mark.parametrize("name", ["items.jsonl", "items.txt", "items.tsv"])
def test_a_guess_holds_for_each_kind_of_text(name: str, read: Read) -> None:
    text = '{"item_id": 1, "title": "Café"}\n' if name.endswith("jsonl") else "item_id\ttitle\n1\tCafé\n"
    assert rows(read(text.encode("cp1252"), name)) == [(1, "Café")]


@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "euc_kr", "big5"])
def test_a_file_whose_encoding_cannot_be_told_asks_for_the_key(encoding: str, read: Read) -> None:
    title = (
        "緑茶セット"
        if encoding == "cp932"
        else "녹차 세트"
        if encoding == "euc_kr"
        else "綠茶和麵包"
        if encoding == "big5"
        else "绿茶和面包"
    )
    content = f"item_id,title,price\n1,{title},3\n".encode(encoding)
    with pytest.raises(DataError, match="its encoding cannot be told from its bytes: set source.encoding"):
        read(content)
    assert rows(read(content, encoding=encoding)) == [(1, title)]


@pytest.mark.parametrize("key", [None, "cp1252"])
def test_lines_of_two_encodings_are_read_each_by_its_own(key: str | None, read: Read) -> None:
    lines = [*[f"{i},Café,1".encode() for i in range(1, 9)], "9,Thé,1".encode("cp1252"), "10,Crème,1".encode()]
    table = read(b"item_id,title,price\n" + b"\n".join(lines), encoding=key)
    assert [title for _, title in rows(table)] == ["Café"] * 8 + ["Thé", "Crème"]
    assert table.notes == (
        "note: items.csv mixes UTF-8 with cp1252: 1 character is not UTF-8 and read as cp1252 (e.g. 'Thé'): export it in one encoding",
    )


def test_the_key_is_used_without_a_word(read: Read) -> None:
    table = read(TEXT.encode("cp1252"), encoding="cp1252")
    assert (rows(table), table.notes) == (TITLES, ())


def test_utf8_by_the_key_keeps_what_does_not_fit_visible(read: Read) -> None:
    assert rows(read(b"item_id,title,price\n1,caf\xe9,3\n", encoding="utf-8")) == [(1, "caf\ufffd")]


def test_a_byte_far_behind_the_beginning_counts_too(read: Read) -> None:
    table = read(b"item_id,title,price\n" + b"1,Tea,1\n" * 400_000 + b"2,Caf\xe9,1\n")
    assert rows(table)[-1] == (400_001, "Café")
    assert "read as cp1252" in table.notes[0]


def test_one_key_serves_two_files_of_different_encodings(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes("item_id,title\n1,Café\n".encode("utf-8-sig"))
    (tmp_path / "log.csv").write_bytes("user_id,item_id,timestamp\nRené,1,2024-01-01\n".encode("cp1252"))
    for key in (None, "cp1252"):
        source = Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", encoding=key)
        summary = ingest(source, tmp_path / "out")
        assert (summary.items.kept, summary.interactions.kept) == (1, 1)
        assert ("encoding" in str(summary)) == (key is None)


def test_damaged_ids_name_the_key(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("user_id,item_id,timestamp,title\nRené,1,2024-01-01,x\n".encode("cp1252"))
    source = Source(interactions=tmp_path / "log.csv", encoding="utf-8")
    with pytest.raises(DataError, match="user_id is damaged text.*source.encoding"):
        ingest(source, tmp_path / "out")
