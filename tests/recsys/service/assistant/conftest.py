"""Services whose assistant has other settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from recsys.service.app import application
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import HERE

Start = Callable[..., TestClient]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the service of a place with other settings of [assistant]."""
    opened = []

    def started(place: Place, **changed: Any) -> TestClient:
        assistant = place.settings.assistant.model_validate({**place.settings.assistant.model_dump(), **changed})
        app = application(place.workspace, place.settings.model_copy(update={"assistant": assistant}))
        opened.append(TestClient(app, base_url=HERE, raise_server_exceptions=False))
        return opened[-1].__enter__()

    yield started
    for client in opened:
        client.__exit__(None, None, None)
