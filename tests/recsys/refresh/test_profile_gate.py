"""A refresh that would lose what the sources had at the last read is refused, unless the settings accept it."""

from __future__ import annotations

import polars as pl
import pytest
from pydantic import ValidationError

from features.ingest.table_store import load_profile, load_tables
from features.ingest.table_versions import PROFILE, in_use
from recsys.artifacts.bundle import current_id
from recsys.refresh import refresh as module
from recsys.refresh.profile_gate import NO_PROFILE
from recsys.refresh.quality_gates import RefusedError
from recsys.refresh.refresh import refresh
from recsys.settings.refresh import RefreshConfig
from recsys.settings.settings import Settings
from tests.recsys.conftest import Place


def accepting(place: Place, *keys: str) -> Settings:
    return place.settings.model_copy(update={"refresh": RefreshConfig(accept_changes=keys)})


def test_a_column_that_is_gone_is_refused_until_it_is_accepted(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, str]] = []
    monkeypatch.setattr(module, "post", lambda _address, message, _seconds: heard.append(message))
    before, bundle = in_use(spare.workspace.data), current_id(spare.workspace.bundles)
    pl.read_csv(spare.items).rename({"available": "in_stock"}).write_csv(spare.items)
    says = (
        r"not published, .* stay in use: items.csv has no column available any more; .*in_stock.*accept_changes = \[\"items.available\"\]"
    )
    for settings in (spare.settings, accepting(spare, "items.price")):
        with pytest.raises(RefusedError, match=says if settings is spare.settings else r'\["items.available", "items.price"\]'):
            refresh(spare.workspace, settings)
    assert [message["event"] for message in heard] == ["failed", "failed"]
    assert "items.available" in heard[0]["message"]
    assert in_use(spare.workspace.data) == before
    assert not load_tables(spare.workspace.data)[0]["available"].all()
    assert current_id(spare.workspace.bundles) == bundle
    refresh(spare.workspace, accepting(spare, "items.available"))
    assert load_tables(spare.workspace.data)[0]["available"].null_count() > 0
    assert current_id(spare.workspace.bundles) != bundle
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    refresh(spare.workspace, spare.settings)  # the new profile counts from then on


def test_the_first_refresh_without_a_profile_compares_nothing_and_says_so(spare: Place) -> None:
    (in_use(spare.workspace.data) / PROFILE).unlink()
    pl.read_csv(spare.items).drop("available").write_csv(spare.items)
    assert NO_PROFILE in str(refresh(spare.workspace, spare.settings))
    assert load_profile(spare.workspace.data) is not None


@pytest.mark.parametrize("key", ["items.availble", "available", "log.event", "items"])
def test_a_mistyped_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="unknown column"):
        RefreshConfig(accept_changes=(key,))
    assert RefreshConfig(accept_changes=("all", "items.available")).accept_changes == ("all", "items.available")
