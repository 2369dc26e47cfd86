"""An answer imports and reads what it needs, and no more; a changed byte among what it uses is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import BundleError
from recsys.artifacts.bundle import Bundle
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "transformers", "sklearn", "pandas", "implicit", "scipy.stats", "matplotlib")


COMMANDS = (["recommend", "--user", "user-03"], ["recommend"], ["similar", "--item", "sku-07"], ["search", "green tea"])
SERVE = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from recsys.service.app import application
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace
with TestClient(application(Workspace(Path({root!r})), load_settings()), base_url="http://127.0.0.1") as client:
    asked = {{"recommend": {{"user": "user-03", "explain": True}}, "similar": {{"item": "sku-07"}}, "search": {{"text": "tea"}}}}
    for path, body in asked.items():
        assert client.post(f"/v1/{{path}}", json=body).status_code == 200, path
"""


def loaded(code: str) -> str:
    """Which of the heavy modules a program has imported in the end."""
    code += f"\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_answer_imports_nothing_that_only_training_needs(ready, words: list[str]) -> None:
    arguments = ["--workspace", str(ready.workspace.root), *words]
    assert loaded(f"import sys; from recsys.cli.main import run; assert run({arguments!r}) == 0") == "[]"


def test_the_service_imports_nothing_that_only_training_needs(ready) -> None:
    assert loaded(SERVE.format(root=str(ready.workspace.root))) == "[]"


def read_all(place: Any) -> None:
    """The states of every item, as an answer asks for them."""
    tokens = open.open_recommender(place.workspace).snapshot.tokens
    assert tokens is not None
    tokens.arrays(np.arange(len(tokens.text_of)), 24)


def test_a_flipped_bit_of_the_states_is_found_when_they_are_read(spare) -> None:
    bundle = Bundle.open(spare.workspace.bundles)
    path = bundle.folder / "snapshot" / "states" / "states.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 16
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"states\.npy is damaged.*recsys rollback"):
        read_all(spare)
    assert any("states.npy" in problem for problem in bundle.verify())


def test_a_bundle_that_is_gone_still_reads_its_states(spare) -> None:
    recommender = open.open_recommender(spare.workspace)
    folder = Bundle.open(spare.workspace.bundles).folder
    folder.rename(folder.with_name("elsewhere"))
    tokens = recommender.snapshot.tokens
    assert tokens is not None
    assert tokens.arrays(np.arange(3), 4)[0].shape[0] == 3
    assert next(recommender.answer(RecommendOptions(), ["user-03"])).items
