"""recsys.toml and the environment: what is refused, and how it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from features.errors import ConfigError
from recsys.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RECSYS_WORKSPACE", "RECSYS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, text: str, name: str = "recsys.toml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_are_defaults() -> None:
    assert load_settings() == Settings()


def test_the_file_in_the_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path, "[encoder]\nmax_tokens = 64\n[events]\nview = 0\n")
    settings = load_settings()
    assert settings.encoder.max_tokens == 64
    assert settings.encoder.model == "packaged"
    assert settings.events.weights == {"purchase": 1.0, "cart": 0.3, "view": 0.0, "rating": 1.0}


def test_the_environment_wins_and_the_rest_of_the_section_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, '[encoder]\nmax_tokens = 64\nmodel = "mine"\n')
    monkeypatch.setenv("RECSYS_ENCODER__MAX_TOKENS", "32")
    encoder = load_settings().encoder
    assert (encoder.max_tokens, encoder.model) == (32, "mine")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[encoder]\nmax_tokens = 1", ["encoder.max_tokens", "1", "greater than or equal to 4"]),
        ('[encoder]\nmax_tokens = "many"', ["encoder.max_tokens", "'many'", "integer"]),
        ("[encoder]\ntokens = 9", ["unknown key encoder.tokens", "max_tokens"]),
        ("[encodr]\nmax_tokens = 9", ["unknown key encodr", "encoder"]),
        ("[baselines.all.ease]\nlambda = 9", ["unknown key baselines.all.ease.lambda", "l2"]),
        ("encoder = 3", ["encoder", "3"]),
        ("[source]\nitem = 'a.csv'", ["source", "unknown key 'item'", "items"]),
        ("[events]\nview = -1\ncart = -1", ["events", "(and 1 more)"]),
        ("[encoder", ["not readable as TOML"]),
        ("workspace = 'x'", ["unknown key workspace"]),
    ],
)
def test_an_error_is_one_line_with_file_key_found_and_expected(tmp_path: Path, text: str, parts: list[str]) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ["recsys.toml", *parts]), message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no"):
        load_settings(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match="not readable"):
        load_settings(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="not readable"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("RECSYS_ENCODER__MAX_TOKENS", "1", "RECSYS_ENCODER__MAX_TOKENS"),
        ("RECSYS_ENCODER__TOKENS", "1", "RECSYS_ENCODER__TOKENS"),
        ("RECSYS_ENCODR__MAX_TOKENS", "32", "RECSYS_ENCODR__MAX_TOKENS: no such section"),
        ("RECSYS_ENCODER", "{", "environment variables RECSYS_"),
    ],
)
def test_an_error_of_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_variables_of_the_command_line_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_WORKSPACE", "elsewhere")
    monkeypatch.setenv("RECSYS_CONFIG", "other.toml")
    assert load_settings() == Settings()


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[source]\ninteractions = 'log.csv'\nitems = '/data/items.csv'\n", "shop/recsys.toml")
    source = load_settings(path).source_with()
    assert source is not None
    assert source.interactions == tmp_path / "shop" / "log.csv"
    assert str(source.items) == "/data/items.csv"


def test_the_command_line_completes_the_source(tmp_path: Path) -> None:
    write(tmp_path, "[source]\ninteractions = 'log.csv'\ninteractions_columns = {user_id = 'customer'}\n")
    settings = load_settings()
    source = settings.source_with(interactions=tmp_path / "new.csv", items=None)
    assert source is not None
    assert source.interactions == tmp_path / "new.csv"
    assert source.interactions_columns == {"user_id": "customer"}
    named = settings.source_with(dataset="completejourney")
    assert named is not None
    assert (named.dataset, named.interactions, named.interactions_columns) == ("completejourney", None, {})


def test_files_put_a_dataset_of_the_section_aside(tmp_path: Path) -> None:
    write(tmp_path, "[source]\ndataset = 'completejourney'\n")
    source = load_settings().source_with(interactions=tmp_path / "log.csv")
    assert source is not None
    assert source.dataset is None


def test_a_source_that_cannot_be(tmp_path: Path) -> None:
    assert load_settings().source_with() is None
    with pytest.raises(ConfigError, match="source: .*interactions"):
        load_settings().source_with(items=tmp_path / "items.csv")
