"""A real small language model behind a real server rewords messages, and nothing false is shown."""

from __future__ import annotations

import pytest

from benchmarks.language_model import missing, running
from recsys.wording.chat_server import ChatServer
from recsys.wording.checking.checker import check
from recsys.wording.facts import Fact, FactKind
from recsys.wording.rephraser import Outcome, Rephraser
from recsys.wording.templates import Templates

MESSAGES = [
    ("hand_over_human", ()),
    ("order_status", (Fact("order", "A-10042", FactKind.CODE), Fact("status", "on its way", FactKind.TEXT))),
    ("shop_does_not_say", (Fact("name", "Bialetti Moka Express", FactKind.NAME),)),
]


def test_whatever_a_model_says_only_checked_wordings_are_shown() -> None:
    if why := missing():
        pytest.skip(why)
    outcomes: list[Outcome] = []
    with running() as address:
        rephraser = Rephraser(ChatServer(address, "smollm2", seconds=300.0), outcomes.append)
        for key, facts in MESSAGES:
            message = Templates.of().write(key, *facts)
            said = rephraser.reword(message)
            assert said.text == message.text or check(said.text, message) == []
            assert (said.wording is None) == (outcomes[-1] != "accepted")
    assert len(outcomes) == len(MESSAGES)
    assert not {"timeout", "http_error", "nonsense"} & set(outcomes)
