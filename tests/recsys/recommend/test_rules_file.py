"""rules.toml in the workspace: no way of asking gets round it, and a broken one ends all answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.recsys.calls import Command
    from tests.recsys.conftest import Place

BANNED = {f"sku-{row:02}" for row in range(10)} | {"sku-33"}  # the first category, and one more
WAYS = (
    ("recommend", "--user", "user-00", "-k", "40"),
    ("recommend", "--user", "user-00", "-k", "40", "--new-only", "--diversity", "0.5"),
    ("recommend", "--history", "sku-01,sku-02", "-k", "40"),
    ("recommend", "-k", "40"),
    ("recommend", "--user", "nobody", "-k", "40"),
    ("recommend", "--debuts", "-k", "40"),
    ("similar", "--item", "sku-01", "-k", "40"),
    ("search", "tea", "-k", "40"),
)


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_no_list_holds_what_is_withheld(command: Command, spare: Place, words: tuple[str, ...]) -> None:
    root = spare.workspace.root
    before = {item["item_id"] for item in command(*words, "--json", workspace=root).answer["items"]}
    catalog, _ = spare.workspace.load()
    first = catalog.frame["category"][0]
    (root / "rules.toml").write_text(f'categories = ["{first}"]\nitems = ["sku-33"]\nunavailable = true\n', encoding="utf-8")
    after = {item["item_id"] for item in command(*words, "--json", workspace=root).answer["items"]}
    assert not after & (BANNED | {"sku-12", "sku-25", "sku-38"})
    if "--debuts" not in words:  # nothing of the tiny shop is unsold
        assert before & BANNED
        assert after


def test_k_items_still_come_back(command: Command, spare: Place) -> None:
    (spare.workspace.root / "rules.toml").write_text('items = ["sku-00", "sku-01", "sku-02"]\n', encoding="utf-8")
    for words in (("--user", "user-00"), ("--history", "sku-03,sku-04"), ()):
        items = command("recommend", *words, "--json", workspace=spare.workspace.root).answer["items"]
        assert len(items) == 10
        assert not {item["item_id"] for item in items} & {"sku-00", "sku-01", "sku-02"}


def test_a_broken_file_ends_all_answers(command: Command, spare: Place) -> None:
    (spare.workspace.root / "rules.toml").write_text("categorys = []\n", encoding="utf-8")
    for words in WAYS:
        assert "rules.toml: categorys" in command(*words, workspace=spare.workspace.root).error
