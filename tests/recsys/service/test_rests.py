"""Those who are being answered come first: what is done beside them rests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

import pytest

from recsys.service.admission import REST_SECONDS, Admission
from recsys.settings.serve import ServeConfig
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each rest would have been."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_turning_away_rests_and_answering_does_not(ready: Place, serve: Serve, rests: list[float]) -> None:
    client = serve(ready, max_body_kib=1, poll_seconds=60)
    assert client.post("/v1/recommend", json={"user": "user-01"}).status_code == 200
    assert REST_SECONDS not in rests
    assert client.post("/v1/recommend", content=b"x" * 2048).status_code == 413
    assert REST_SECONDS in rests


def test_a_full_queue_turns_away_with_rests_before_the_body_is_read(rests: list[float]) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def never(*_: object) -> Any:
        raise AssertionError("a request that is turned away was read, or went further")

    gate = Admission(never, ServeConfig(queue=1))
    gate._running = 1
    asyncio.run(gate({"type": "http", "method": "POST", "path": "/v1/recommend", "headers": []}, never, send))
    assert [message.get("status") for message in sent] == [429, None]
    assert REST_SECONDS in rests
