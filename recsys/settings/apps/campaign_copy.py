"""Configuration of what campaigns say."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class CopyConfig(BaseModel):
    """The section [campaign_copy]. A language model rewords texts where `assistant.llm_url` names one.

    Attributes
    ----------
    banned_words : file of words and phrases that no text may have, one a line.
    currency : ISO 4217 code of the catalogue's prices; None writes amounts without one.
    subject_length, text_length, push_length, sms_length : characters of each form, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    banned_words: Path | None = None
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    subject_length: int = Field(default=60, ge=10)
    text_length: int = Field(default=600, ge=40)
    push_length: int = Field(default=120, ge=10)
    sms_length: int = Field(default=160, ge=10)

    def length(self, form: str) -> int:
        """Return the characters of a form, at most."""
        return {"subject": self.subject_length, "text": self.text_length, "push": self.push_length, "sms": self.sms_length}[form]
