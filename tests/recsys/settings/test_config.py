"""recsys.toml and the environment: what is refused, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.errors import ConfigError
from recsys.settings.renamed_keys import RENAMED
from recsys.settings.settings import Settings, load_settings


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
    assert settings.events.weights == {"purchase": 1.0, "cart": 0.3, "view": 0.0, "rating": 1.0, "dislike": 0.0}


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
        ("[source]\nitem = 'a.csv'", ["source", "unknown key 'item'", "did you mean 'items'?"]),
        ("[source]\ninteraction_columns = {}", ["unknown key 'interaction_columns', did you mean 'interactions_columns'?"]),
        ("[encoder]\nmax_token = 9", ["unknown key encoder.max_token, did you mean 'max_tokens'?"]),
        ("[refresh]\naccept_changes = ['items.availble']", ["did you mean 'items.available'?"]),
        ("[events]\nview = -1\ncart = -1", ["events", "(and 1 more)"]),
        ("[storefront]\nhome = []", ["storefront.home", "expected at least one row"]),
        ("[storefront]\nhome = ['popular', 'popular']", ["storefront.home", "found 'popular' 2 times, expected each row once"]),
        ("[storefront]\nempty_search = ['popular', 'for_you', 'popular']", ["storefront.empty_search", "found 'popular' 2 times"]),
        ("[encoder", ["cannot be read as TOML"]),
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


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[source.items_columns] title = "name"', 'put title = "name" on lines of its own below [source.items_columns]'),
        ('[source.items_columns]\ntitle = "name", price = "p"', "put one key on a line"),
        ("[source]\nitems = products.csv", "text stands in quotes"),
        ('source.decimal = ","\n[source]\nencoding = "utf-8"', "join what belongs to one section"),
        ('[source]\nsource.decimal = ","', "leave `source.` out of the key"),
    ],
)
def test_advice_that_was_pasted_in_another_way_is_corrected(tmp_path: Path, text: str, part: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert part in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load_settings(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("RECSYS_ENCODER__MAX_TOKENS", "1", "RECSYS_ENCODER__MAX_TOKENS"),
        ("RECSYS_ENCODER__TOKENS", "1", "RECSYS_ENCODER__TOKENS"),
        ("RECSYS_ENCODR__MAX_TOKENS", "32", "RECSYS_ENCODR__MAX_TOKENS: unknown section"),
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


# Values that are not the defaults.
VALUES = {
    "gbdt": {"rounds": 7},
    "retrieval.repeat_purchases": 7,
    "retrieval.item_knn": 7,
    "retrieval.markov": 7,
    "retrieval.item_knn_model": {"keep": 7},
    "retrieval.markov_model": {"keep": 7},
    "retrieval.next_item_model": {"keep": 7},
    "cross_encoder.rerank_depth": 7,
    "train.id_dropout": 0.5,
    "tower.user_encoder": "set",
}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
class TestRenamedKeys:
    def expected(self, new: str) -> Settings:
        section, _, key = new.partition(".")
        return Settings.model_validate({section: {key: VALUES[new]} if key else VALUES[new]})

    def toml(self, path: str, value: object) -> str:
        keys = ", ".join(f"{key} = {json.dumps(part)}" for key, part in value.items()) if isinstance(value, dict) else None
        return f"{path} = {f'{{ {keys} }}' if keys else json.dumps(value)}\n"

    def test_in_the_file(self, tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str) -> None:
        write(tmp_path, self.toml(old, VALUES[new]))
        settings = load_settings()
        assert settings == self.expected(new) != Settings()
        (line,) = caplog.messages
        assert line.startswith(f"recsys.toml: {old} is called {new} now")

    @pytest.mark.parametrize("depth", ["key", "JSON"])
    def test_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, old: str, new: str, depth: str
    ) -> None:
        value, name, renamed = VALUES[new], *(f"RECSYS_{path.replace('.', '__').upper()}" for path in (old, new))
        if depth == "key" and isinstance(value, dict):
            ((key, value),) = value.items()
            name, renamed = f"{name}__{key.upper()}", f"{renamed}__{key.upper()}"
        monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))
        assert load_settings() == self.expected(new)
        assert caplog.messages[0].startswith(f"environment variable {name} is called {renamed} now")

    def test_both_names_in_the_file(self, tmp_path: Path, old: str, new: str) -> None:
        write(tmp_path, self.toml(old, VALUES[new]) + self.toml(new, VALUES[new]))
        with pytest.raises(ConfigError, match=f"^recsys.toml: {old} and {new} are the same key") as caught:
            load_settings()
        assert "\n" not in str(caught.value)

    def test_both_names_in_the_environment(self, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
        names = [f"RECSYS_{path.replace('.', '__').upper()}" for path in (old, new)]
        for name in names:
            monkeypatch.setenv(name, json.dumps(VALUES[new]))
        with pytest.raises(ConfigError, match=f"^environment variables {names[0]} and {names[1]} set the same key, {new}") as caught:
            load_settings()
        assert "\n" not in str(caught.value)

    def test_the_page_lists_them(self, old: str, new: str) -> None:
        page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
        names = (f"`{path}`" if "." in path else f"`[{path}]`" for path in (old, new))
        assert f"- {' is now '.join(names)}\n" in page


def test_the_environment_wins_under_an_old_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "[gbdt]\nrounds = 5\nleaves = 6\n")
    monkeypatch.setenv("RECSYS_BLEND__ROUNDS", "7")
    gbdt = load_settings().gbdt
    assert (gbdt.rounds, gbdt.leaves) == (7, 6)


def test_an_old_name_inside_a_section_given_as_json(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("RECSYS_TRAIN", '{"hide": 0.5}')
    assert load_settings().train.id_dropout == 0.5
    (line,) = caplog.messages
    assert line.startswith("environment variables RECSYS_*: train.hide is called train.id_dropout now")


@pytest.mark.parametrize("name", ["RECSYS_BLEND__ROUNDS", "RECSYS_TOWER__READS", "RECSYS_RETRIEVAL__TOGETHER_MODEL__KEEP"])
def test_a_wrong_value_under_an_old_name_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "-1")
    with pytest.raises(ConfigError, match=f"^{name}: "):
        load_settings()


def test_a_dislike_has_no_weight_and_no_key(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "[events]\nview = 0.5\n")).events.weights == {
        "purchase": 1.0,
        "cart": 0.3,
        "view": 0.5,
        "rating": 1.0,
        "dislike": 0.0,
    }
    with pytest.raises(ConfigError, match="dislike"):
        load_settings(write(tmp_path, "[events]\ndislike = 0.5\n"))
