"""The texts of campaigns by language, and the aspects of reviews in its words."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FORMS = ("subject", "text", "push", "sms")


@dataclass(frozen=True)
class CampaignTexts:
    """The texts of one language.

    Attributes
    ----------
    aspects : name of an aspect -> the language's words for it.
    tones : tone -> form -> templates (`recsys.wording.template`).
    """

    aspects: dict[str, str]
    tones: dict[str, dict[str, tuple[str, ...]]]


@cache
def texts_of(language: str) -> CampaignTexts:
    """Return the packaged texts of a language."""
    table = tomllib.loads(files("recsys.apps.campaigns.copy").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
    aspects = table.pop("aspects")
    return CampaignTexts(aspects, {tone: {form: tuple(table[tone][form]) for form in FORMS} for tone in table})
