"""A log without events: one line that says what to do."""

from __future__ import annotations

import pytest

from features.data.interactions import Interactions
from features.ingest.table_store import INTERACTIONS
from features.ingest.table_versions import in_use
from recsys.privacy.erasure import erase
from tests.recsys.calls import Command


def test_only_a_header(fresh, command: Command) -> None:
    place = fresh()
    place.log.write_text("user_id,item_id,timestamp\n")
    said = command("ingest", "--items", place.items, "--interactions", place.log, workspace=place.workspace.root).error
    assert "the log has no rows, expected at least one: export it again" in said


def test_everybody_was_erased(fresh, command: Command) -> None:
    place = fresh()
    place.ingest()
    _, log = place.workspace.load()
    erase(place.workspace, *log.user_ids)
    assert (in_use(place.workspace.data) / INTERACTIONS).is_file()
    for words in (["train"], ["train", "--until", "2024-02-01"], ["evaluate"], ["simulate", "--a", "popular", "--b", "ours"]):
        assert "the log has no events, expected at least one: run `recsys ingest`" in command(*words, workspace=place.workspace.root).error
    assert "rows of the log are of erased users" in command("refresh", workspace=place.workspace.root).error
    assert command("build-index", workspace=place.workspace.root).code == 0
    assert command("recommend", workspace=place.workspace.root).code == 0


@pytest.mark.parametrize("end", ["start", "end"])
def test_a_log_of_nothing_has_no_ends(end: str, shop) -> None:
    log: Interactions = shop.log
    with pytest.raises(Exception, match="the log has no events"):
        getattr(log.between(None, 0), end)
