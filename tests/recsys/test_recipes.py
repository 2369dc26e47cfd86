"""The commands of docs/data-format.md read the exports that they name."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from recsys.cli.main import run

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "data-format.md").read_text("utf-8")
EXPORTS = ROOT / "tests" / "features" / "ingest" / "formats" / "exports"
SECTION = DOCS.split("## Exports of shop software")[1].split("\n## ")[0]
RECIPES = re.findall(r"^recsys (ingest .*)$", SECTION, re.MULTILINE)


def test_each_platform_has_a_recipe() -> None:
    for name in ("Shopify", "WooCommerce", "Magento", "Google Merchant", "Google Analytics", "Amazon reviews", "Our own names"):
        part = SECTION.split(f"### {name}\n")[1].split("\n### ")[0]
        assert "```sh\nrecsys ingest " in part


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if "google_merchant" not in recipe])
def test_a_recipe_reads_its_export(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(EXPORTS, tmp_path / "exports")
    monkeypatch.chdir(tmp_path / "exports")
    assert run(["--workspace", str(tmp_path / "shop"), *shlex.split(recipe)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^items: \d+ read = [1-9]", out, re.MULTILINE)
    assert re.search(r"^interactions: \d+ read = [1-9]", out, re.MULTILINE)


def test_the_notes_of_the_page_are_those_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(EXPORTS, tmp_path / "exports")
    monkeypatch.chdir(tmp_path / "exports")
    said = ""
    for items, log in (("shopify_products.csv", "shopify_orders.csv"), ("items.csv", "log.csv")):
        assert run(["--workspace", str(tmp_path / "shop"), "ingest", "--items", items, "--interactions", log]) == 0
        said += capsys.readouterr().out
    notes = [note for note in re.findall(r"^note: .*$", DOCS, re.MULTILINE) if "shopify" in note or "log.csv" in note]
    assert len(notes) == 2
    for note in notes:
        assert note in said
