"""The section [reviews]: its files, and what of it a trained model depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import DataError
from recsys.settings.settings import Settings, load_settings

LABELS = "sentence,term,polarity\nA weak battery,battery,negative\n"
ASPECTS = '[[aspect]]\nname = "noise"\nterms = ["loud"]\n'


def settings_of(folder: Path, lines: str) -> Settings:
    (folder / "recsys.toml").write_text(f"[reviews]\n{lines}\n", encoding="utf-8")
    return load_settings(folder / "recsys.toml")


@pytest.mark.parametrize("prefix", ["", "./", "{folder}/"])
def test_paths_are_relative_to_the_file_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "labels.csv").write_text(LABELS, encoding="utf-8")
    (tmp_path / "aspects.toml").write_text(ASPECTS, encoding="utf-8")
    prefix = prefix.format(folder=tmp_path.as_posix())
    reviews = settings_of(tmp_path, f'polarities = "{prefix}labels.csv"\naspects = "{prefix}aspects.toml"').reviews
    assert reviews.read_aspects().names == ("noise",)
    found = reviews.read_polarities()
    assert found is not None
    assert found.rows["polarity"].to_list() == ["negative"]


def test_without_a_file_there_are_no_polarities() -> None:
    assert Settings().reviews.read_polarities() is None


@pytest.mark.parametrize(("content", "message"), [(None, "does not exist|labels.csv"), ("sentence,term\na,a\n", "has no polarity")])
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"^reviews.polarities: .*({message})") as raised:
        settings_of(tmp_path, 'polarities = "labels.csv"').reviews.read_polarities()
    assert "\n" not in str(raised.value)


def test_a_model_depends_on_the_training_of_polarities_only_where_there_are_some(tmp_path: Path) -> None:
    changed, plain = (settings_of(tmp_path, lines) for lines in ("[reviews.polarity]\nepochs = 9", ""))
    assert changed.training_sections() == plain.training_sections()
    here = 'polarities = "{}"\n[reviews.polarity]\nepochs = {}'
    one, renamed, other = (settings_of(tmp_path, here.format(*given)) for given in (("a.csv", 9), ("b.csv", 9), ("a.csv", 2)))
    assert one.training_sections() == renamed.training_sections()
    assert one.training_sections() != other.training_sections()
    assert one.training_sections() != plain.training_sections()
