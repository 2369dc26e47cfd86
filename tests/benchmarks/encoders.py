"""Where tests find a multilingual text encoder, which no package brings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "MULTILINGUAL_ENCODER"


def multilingual() -> str:
    """Return the folder of multilingual-e5-small, or skip the test."""
    folder = os.environ.get(VARIABLE, "")
    if not (Path(folder) / "model.safetensors").is_file():
        pytest.skip(f"no multilingual text encoder: set {VARIABLE} to a folder that holds multilingual-e5-small")
    return folder
