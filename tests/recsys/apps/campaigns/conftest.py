"""Settings of the tests of campaigns."""

from __future__ import annotations

import pytest

from recsys.settings.settings import Settings


@pytest.fixture
def small_settings() -> Settings:
    """Settings that little data is enough for."""
    return Settings.model_validate({"campaigns": {"response": {"rounds": 20, "folds": 2}, "uplift": {"rounds": 20}}})
