"""Rules that change while a bundle is in use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from recsys.artifacts.bundle import Bundle
from recsys.recommend.open import LiveChanges, open_recommender
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    import pytest

    from recsys.recommend.pipeline import Recommender
    from tests.recsys.conftest import Place


def first(recommender: Recommender) -> tuple[str, str | None]:
    (answer,) = recommender.answer(RecommendOptions(k=5), ["user-01"])
    return answer.items[0].item_id, answer.items[0].rule


def test_changed_rules_hold_at_once_and_wrong_ones_change_nothing(spare: Place, caplog: pytest.LogCaptureFixture) -> None:
    workspace = spare.workspace
    recommender = open_recommender(workspace)
    changes = LiveChanges.of(workspace, Bundle.open(workspace.bundles, recommender.bundle_id), recommender)
    (best, _), reasons = first(recommender), recommender.reasons
    changes.catch_up()
    assert first(recommender) == (best, None)
    workspace.merchandising.write_text('[[pin]]\nname = "now"\nitem = "sku-33"\nposition = 1\n', encoding="utf-8")
    changes.catch_up()
    assert first(recommender) == ("sku-33", "now")
    for wrong in ("[[pim]]", 'items = ["sku-33"]'):  # no rule of this name; a blocked item that is pinned
        path = workspace.merchandising if "pim" in wrong else workspace.rules
        path.write_text(wrong, encoding="utf-8")
        with caplog.at_level(logging.ERROR):
            assert changes.catch_up()  # prices and stock could be read
        assert first(recommender) == ("sku-33", "now")
        assert caplog.messages[-1].startswith("the rules stay as they were: ")
    count = len(caplog.messages)
    changes.catch_up()
    assert len(caplog.messages) == count, "told once"
    workspace.merchandising.unlink()
    workspace.rules.write_text(f'items = ["{best}"]\n', encoding="utf-8")
    changes.catch_up()
    found, rule = first(recommender)
    assert found != best
    assert rule is None
    assert recommender.reasons is reasons, "nothing else is built again"
