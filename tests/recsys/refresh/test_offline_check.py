"""The comparison of two bundles at a past moment: which collaborative models it fits, and which it carries over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.export import model_digest
from recsys.artifacts.model import ServedModel
from recsys.refresh.offline_check import BundleUnderTest
from recsys.snapshot.snapshot import Snapshot
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.recsys.conftest import Place


def test_the_models_of_a_day_before_are_carried_over_while_little_has_changed(
    ready: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Bundle.open(ready.workspace.bundles).files
    model = ServedModel(files)
    bundle = BundleUnderTest(model, Snapshot.from_files(Subfolder(files, "snapshot")), "", model_digest(files), tmp_path)
    fitted, fit = [], Collaborative.fit
    monkeypatch.setattr(Collaborative, "fit", lambda *given: fitted.append(given[1]) or fit(*given))
    cut = bundle.snapshot.log.end // DAY * DAY - 7 * DAY
    first = bundle.collaborative(cut, 0.02)
    assert fitted == [cut]
    later = len(bundle.before(cut + DAY)) - len(bundle.before(cut))
    assert later > 0
    carried = bundle.collaborative(cut + DAY, 1.0)
    assert fitted == [cut]
    assert np.array_equal(carried.als.factors, first.als.factors)
    anew = bundle.collaborative(cut + DAY, later / len(bundle.before(cut)) / 2)
    assert fitted == [cut, cut + DAY]
    assert not np.array_equal(anew.als.factors, first.als.factors)
    assert np.array_equal(carried.popularity.to_files()["popularity.safetensors"], anew.popularity.to_files()["popularity.safetensors"])
