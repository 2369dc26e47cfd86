"""What is to be installed by name is ours, and there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = (
    "features/**/*.py",
    "retrieval/**/*.py",
    "ranking/**/*.py",
    "eval/**/*.py",
    "recsys/**/*.py",
    "tests/**/*.py",
    "docs/*.md",
    "*.md",
)


def test_every_extra_that_is_advised_is_one_of_our_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = {path.relative_to(ROOT): path.read_text() for place in PLACES for path in ROOT.glob(place)}
    found = [(path, *match) for path, text in texts.items() for match in re.findall(r"install [\"'\\]*([\w.-]+)\[(\w+)\]", text)]
    assert len(found) >= 2
    for path, name, extra in found:
        assert name == project["name"], path
        assert extra in project["optional-dependencies"], path
