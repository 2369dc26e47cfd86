"""The README and the pages it links: commands parse, links resolve, and the quick start works on the tiny shop."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import os
import re
import shlex
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import typer

import recsys
from recsys.cli.main import app, run
from recsys.settings.presets import FULL, GPU

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from recsys.settings.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# docs/cli.md is the help itself, and tested to be.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "cli.md")]


def blocks(page: str, kind: str) -> list[str]:
    """What stands between ```kind and ```."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The words of each line of a shell block, comments left out."""
    return [words for block in blocks(page, "sh") for line in block.splitlines() if (words := shlex.split(line, comments=True))]


def quoted(page: str, program: str) -> list[str]:
    """Commands that stand in the text between backticks."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.findall(rf"`({program} [^`]+)`", prose)


def all_words() -> list[list[str]]:
    pages = [path.read_text(encoding="utf-8") for path in PAGES]
    inline = [shlex.split(text) for page in pages for program in ("recsys", "make") for text in quoted(page, program)]
    return [words for page in pages for words in commands(page)] + inline


def test_the_two_commands_come_first() -> None:
    assert commands(README)[:2] == [["make", "demo"], ["make", "test"]]


@cache
def command_group() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("line", sorted({shlex.join(words) for words in all_words() if words[0] == "recsys"}))
def test_every_command_parses(line: str) -> None:
    group = command_group()
    context = typer.Context(group, info_name="recsys")
    _, verb, *rest = shlex.split(line)
    command = group.get_command(context, verb)
    assert command is not None
    if rest:  # a verb alone may be a mention in the text
        command.make_context(verb, rest, parent=context)


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {words[1] for words in all_words() if words[0] == "make"} <= targets


def test_pip_installs_what_make_installs() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    extras, packaged = [words for words in commands(README) if words[0] == "pip"]
    (installed,) = re.findall(r"^RUN_EXTRAS := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert extras == ["pip", "install", "-c", "constraints.txt", "-e", f".[{installed}]"]
    assert packaged[:3] == ["pip", "install", "--no-deps"]
    assert packaged[3] in pins


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        assert not anchor or anchor in headings(file), target


@cache
def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_presets_are_as_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for first, changes in (("`--preset full`", FULL), ("a GPU", GPU)):
        (row,) = re.findall(rf"^\| {re.escape(first)} \| (.+) \|$", page, re.MULTILINE)
        assert set(row.split(", ")) == {f"`{part}.{key} = {value}`" for part, keys in changes.items() for key, value in keys.items()}


class OwnShop:
    """A workspace that was made by the README's commands, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = monkeypatch

    def follow(self, line: list[str]) -> None:
        """Do what one line of the README says."""
        if line[0] == "export":
            self._patch.setenv(*line[1].split("=", 1))
        else:
            assert line[0] == "recsys"
            assert run(line[1:]) == 0, shlex.join(line)


@pytest.fixture(scope="module")
def own_shop(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnShop]:
    """'Your own shop', followed from the export to the first list."""
    folder = tmp_path_factory.mktemp("own-shop")
    items, log = shop.write(folder)
    items.rename(folder / "products.csv")
    pl.read_csv(log).with_columns(pl.col("user_id").replace({"user-12": "123"})).write_csv(folder / "orders.csv")
    chosen = tiny_settings.model_dump(mode="json", exclude_unset=True)
    (folder / "recsys.toml").write_text("\n".join(toml(chosen)), encoding="utf-8")
    lines = next(block for block in blocks(README, "sh") if "recsys ingest" in block)
    handlers = logging.getLogger().handlers[:]
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        for name in [name for name in os.environ if name.startswith("RECSYS_")]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(folder)
        made = OwnShop(folder, monkeypatch)
        for line in commands(f"```sh\n{lines}```"):
            made.follow(line)
        yield made
    logging.getLogger().handlers[:] = handlers


def toml(table: Mapping[str, Any], name: str = "") -> list[str]:
    """The lines of recsys.toml; its plain values are spelt as in JSON."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    tables = [toml(value, f"{name}.{key}" if name else key) for key, value in table.items() if isinstance(value, dict)]
    return [*([f"[{name}]"] if name else []), *plain, *(line for lines in tables for line in lines)]


@pytest.mark.usefixtures("own_shop")
def test_the_five_lines_end_in_a_personal_list(capsys: pytest.CaptureFixture[str]) -> None:
    answer = printed(capsys, "recommend", "--user", "123")
    assert (answer["user_id"], answer["fallback"], len(answer["items"])) == ("123", None, 10)
    assert all(0 < item["probability"] < 1 and item["reason"] for item in answer["items"])


def test_what_you_get_answers(own_shop: OwnShop) -> None:
    (own_shop.folder / "users.csv").write_text("user_id\n123\nuser-07\n", encoding="utf-8")
    (own_shop.folder / "queries.csv").write_text("query,user_id\ntea,123\nrye bread,\n", encoding="utf-8")
    block = next(block for block in blocks(README, "sh") if "recsys similar" in block)
    lines = [line for line in commands(f"```sh\n{block}```") if line[1] in ("recommend", "similar", "search", "verify", "refresh")]
    for line in lines:
        own_shop.follow(line)
    assert len(lines) == 11
    assert pl.read_parquet(own_shop.folder / "found.parquet")["query"].unique().sort().to_list() == ["rye bread", "tea"]
    assert pl.read_parquet(own_shop.folder / "lists.parquet")["user_id"].unique().sort().to_list() == ["123", "user-07"]


def shop_calls(code: str) -> Iterator[tuple[str, ast.Call]]:
    """Each call of a method of Shop in a block of Python, with the method's name."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("shop", "recsys.Shop"):
            yield node.func.attr, node


def test_the_shop_has_the_methods_and_parameters_of_the_python_blocks() -> None:
    calls = [call for code in blocks(README, "python") for call in shop_calls(code)]
    assert {name for name, _ in calls} == {"from_frames", "open", "train", "build_index", "recommend", "evaluate"}
    for name, call in calls:
        of_class = isinstance(inspect.getattr_static(recsys.Shop, name), classmethod | staticmethod)
        parts = [*call.args] if of_class else [None, *call.args]
        inspect.signature(getattr(recsys.Shop, name)).bind(*parts, **{str(keyword.arg): keyword.value for keyword in call.keywords})


@pytest.mark.usefixtures("own_shop")
def test_the_python_lines_open_the_workspace_and_answer() -> None:
    code = next(block for block in blocks(README, "python") if "Shop.open" in block)
    frames: list[Any] = []
    exec(compile(code, "README.md", "exec"), {"print": frames.append})
    lists = pl.DataFrame(frames[0])
    assert lists.columns[:5] == ["user_id", "item_id", "rank", "probability", "reason"]
    assert lists["user_id"].to_list() == ["123"] * 5 + [None] * 5
    assert frames[1].metrics


def printed(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    """What a command prints with --json."""
    capsys.readouterr()
    assert run([*line, "--json"]) in (0, 1)
    return json.loads(capsys.readouterr().out)


# Objects whose keys are names of metrics, slices and the like: an example shows some of them.
OPEN = ("reasons", "exposure", "metrics", "slices", "stages", "baselines", "repeat", "new", "all", "retrieval")
OPEN = (*OPEN, "typo", "ratios", "differences")


def apart(documented: Any, found: Any, name: str = "") -> list[str]:
    """Keys that only one of the two has; of a list the first entry speaks for all."""
    if isinstance(documented, list):
        if not documented:  # a list of sentences, which may be empty
            return [] if all(isinstance(one, str) for one in found) else [name]
        return apart(documented[0], found[0], name) if found else [name]
    if not isinstance(documented, dict) or name in ("contributions", "facets"):
        return []
    lacking = set(documented) - set(found) if name in OPEN else set(documented) ^ set(found)
    return [*lacking, *(key for part in set(documented) & set(found) for key in apart(documented[part], found[part], part))]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("recommend", ["recommend", "--user", "123", "-k", "1", "--explain"]),
        ("page", ["page", "home", "--user", "123", "--basket", "gone", "--rows", "for_you", "-k", "1"]),
        ("matches", ["similar", "--item", "sku-07"]),
        ("search", ["search", "rye breadd under 9 dollars", "--user", "123", "--explain"]),
        ("evaluate", ["evaluate"]),
        ("simulate", ["simulate", "--a", "popular", "--b", "personal_frequency", "--from", "2024-06-01"]),
        ("doctor", ["doctor"]),
    ],
)
@pytest.mark.usefixtures("own_shop")
def test_json_has_the_documented_keys(name: str, line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks((ROOT / "docs" / "json.md").read_text(encoding="utf-8"), f"json {name}")
    assert apart(json.loads(example), printed(capsys, *line)) == []


def test_off_policy_has_the_documented_keys(own_shop: OwnShop, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks((ROOT / "docs" / "json.md").read_text(encoding="utf-8"), "json off-policy")
    rows = [f"{number % 2 * 0.5 + 0.25},0.5,{number % 3}" for number in range(400)]
    (own_shop.folder / "log.csv").write_text("\n".join(["propensity,target_propensity,reward", *rows]), encoding="utf-8")
    assert apart(json.loads(example), printed(capsys, "off-policy", str(own_shop.folder / "log.csv"))) == []


def test_evaluate_search_has_the_documented_keys(own_shop: OwnShop, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks((ROOT / "docs" / "json.md").read_text(encoding="utf-8"), "json evaluate-search")
    (own_shop.folder / "judged.csv").write_text("query,item_id,kind\ngren tea,sku-00,typo\nrye bread,sku-10,plain\n", encoding="utf-8")
    found = printed(capsys, "evaluate", "search", "--judged", str(own_shop.folder / "judged.csv"))
    assert apart(json.loads(example), found) == []


def test_rows_of_the_users_file_have_the_documented_keys(own_shop: OwnShop) -> None:
    (example,) = blocks((ROOT / "docs" / "json.md").read_text(encoding="utf-8"), "json users-file")
    (own_shop.folder / "one.txt").write_text("123\n", encoding="utf-8")
    own_shop.follow(["recsys", "recommend", "--users-file", "one.txt", "--out", "one.jsonl"])
    row = json.loads((own_shop.folder / "one.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert set(row) == set(json.loads(example))


def test_rows_of_the_queries_file_have_the_documented_keys(own_shop: OwnShop) -> None:
    (example,) = blocks((ROOT / "docs" / "json.md").read_text(encoding="utf-8"), "json queries-file")
    (own_shop.folder / "one.txt").write_text("rye bread\n", encoding="utf-8")
    own_shop.follow(["recsys", "search", "--queries-file", "one.txt", "--out", "one.jsonl"])
    row = json.loads((own_shop.folder / "one.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert list(row) == list(json.loads(example))


def test_the_example_card_is_such_as_training_writes(own_shop: OwnShop) -> None:
    (card,) = own_shop.folder.glob("my-shop/models/*/MODEL_CARD.md")
    example = (ROOT / "docs" / "model-card-example.md").read_text(encoding="utf-8").split("<!-- card -->")[1]

    def parts(text: str) -> list[str]:
        """Its headings but the first, which names the model, and the first cells of its table."""
        return [line.strip("#| ").split("|")[0].strip() for line in text.splitlines() if line.startswith(("## ", "### ", "|"))]

    assert parts(example)[1:] == parts(card.read_text(encoding="utf-8"))
