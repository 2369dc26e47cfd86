"""The pages that list commands, keys and dependencies list all of them, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recsys.docs_tools.write_docs import defaults, documented, with_defaults
from recsys.settings.settings import load_settings

ROOT = Path(__file__).parents[2]


def test_every_key_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    undocumented, gone = set(defaults()) - set(documented(page)), set(documented(page)) - set(defaults())
    assert (undocumented, gone) == (set(), set()), "each key has one row in docs/configuration.md"
    assert len(documented(page)) == len(set(documented(page)))
    assert page == with_defaults(page), "run `make docs`"


def test_the_page_of_the_command_line_is_the_help() -> None:
    # In a process of its own: help asks the terminal for its width and the environment for values.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
    code = "from recsys.docs_tools.write_docs import command_line; import sys; sys.stdout.write(command_line())"
    page = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, "run `make docs`"


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_example_configurations_are_valid(example: Path) -> None:
    load_settings(example).source_with()


def test_every_dependency_and_extra_is_documented() -> None:
    """docs/dependencies.md has one heading for each extra and, below it, one row for each of its libraries."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {"core": project["dependencies"], **project["optional-dependencies"]}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[?(\w+)\]?:.*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    documented = {extra: re.findall(r"^\| `([^`]+)` \| \S.* \| \S.* \|$", text, re.MULTILINE) for extra, text in sections}
    names = {extra: [re.split(r"[<>=\[;]", text)[0] for text in texts] for extra, texts in declared.items()}
    assert documented == names, "each library has one row, in the order of pyproject.toml"
