"""The pages that list commands and keys list all of them, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from features.source import Source
from recsys.config import Settings

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z_0-9.]+)` \| (?:none|`(.*)`) \| .+ \|$", re.MULTILINE)


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Dotted key -> default."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        value = field.default
        if isinstance(value, BaseModel):
            below = leaves(type(value), f"{prefix}{name}.")
            found |= {key: _get(value, key.removeprefix(f"{prefix}{name}.")) for key in below}
        else:
            assert value is not PydanticUndefined, f"{prefix}{name} has no default"
            found[f"{prefix}{name}"] = value
    return found


def _get(value: object, path: str) -> object:
    for part in path.split("."):
        value = getattr(value, part)
    return value


def test_every_key_is_documented_with_its_default() -> None:
    keys = leaves(Settings)
    del keys["source"]
    keys |= leaves(Source, "source.")
    documented = {key: default or None for key, default in ROW.findall((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"))}
    assert documented == {key: None if default is None else json.dumps(default) for key, default in keys.items()}


def test_the_page_of_the_command_line_is_the_help() -> None:
    # In a process of its own: help asks the terminal for its width and the environment for values.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
    code = "from recsys.cli_docs import markdown; import sys; sys.stdout.write(markdown())"
    page = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, "run `make docs`"


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_example_configurations_are_valid(example: Path) -> None:
    from recsys.config import load_settings

    load_settings(example).source_with()
