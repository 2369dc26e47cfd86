"""The section [search]: the shop's own synonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.errors import DataError
from recsys.settings.settings import Settings, load_settings

TEXT = "sub, hoagie, grinder\nalone\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def settings_of(folder: Path, named: str) -> Settings:
    (folder / "recsys.toml").write_text(f'[search]\nsynonyms = "{named}"\n', encoding="utf-8")
    return load_settings(folder / "recsys.toml")


def test_without_a_file_there_are_none() -> None:
    assert Settings().search.read_synonyms() == ([], [])
    assert Settings().indexing.synonyms == ()


@pytest.mark.parametrize("named", ["words.txt", "./words.txt", "{folder}/words.txt"])
def test_the_path_is_relative_to_the_file_of_settings(tmp_path: Path, named: str) -> None:
    (tmp_path / "words.txt").write_text(TEXT, encoding="utf-8")
    settings = settings_of(tmp_path, named.format(folder=tmp_path.as_posix()))
    assert settings.indexing.synonyms == (("sub", "hoagie", "grinder"),)
    (note,) = settings.search.read_synonyms().notes
    assert "1 of 2 lines, such as 'alone'" in note


@pytest.mark.parametrize(("content", "message"), [(None, "words.txt"), (b"caf\xe9, coffee\n", "words.txt is not UTF-8")])
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"^search.synonyms: .*{message}") as raised:
        settings_of(tmp_path, "words.txt").search.read_synonyms()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("probability", "depends"), [(0.0, False), (0.3, True)])
def test_a_model_depends_on_synonyms_only_where_they_augment_its_texts(tmp_path: Path, probability: float, depends: bool) -> None:
    def sections(text: str, name: str) -> dict[str, Any]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        settings = settings_of(tmp_path, name)
        augment = settings.train.augment.model_copy(update={"synonyms": probability})
        return settings.model_copy(update={"train": settings.train.model_copy(update={"augment": augment})}).training_sections()

    assert sections(TEXT, "a.txt") == sections(TEXT, "b.txt")  # whatever the file's name
    assert (sections(TEXT, "a.txt") != sections("sub, hoagie\n", "a.txt")) == depends
