"""The templates of all messages, by language: the packaged ones, and a shop's own file above them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from features.errors import DataError, disk_errors, one_line
from features.text.closest import did_you_mean
from recsys.wording.keys import KEYS, PLURAL
from recsys.wording.locales import language_name, locale_of, plural_category, written
from recsys.wording.message import Message, Piece
from recsys.wording.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from recsys.wording.facts import Fact

PACKAGED = ("en", "de", "fr", "es", "zh")
FORM = 'expected tables of languages with messages, such as [en] and greeting = "Hello"'
_CATEGORIES = ("zero", "one", "two", "few", "many", "other")
Forms = dict[str, Template]  # plural category -> template; "other" alone for a text without plurals


@dataclass(frozen=True)
class Templates:
    """Templates by language and key.

    Attributes
    ----------
    languages : tuple of str
        Those that the shop speaks, the first one where a customer's language has no template.
    texts : dict of str to dict of str to Forms
        Language -> key -> template by plural category.
    """

    languages: tuple[str, ...]
    texts: dict[str, dict[str, Forms]]

    @classmethod
    def of(cls, path: Path | None = None, languages: Iterable[str] = ("en",)) -> Templates:
        """Read the packaged templates and a shop's own file, which overrides and adds keys and languages.

        Raises
        ------
        DataError
            If the file cannot be read, or a key, a language or a placeholder in it is unknown or missing.
        """
        texts = {language: dict(_packaged(language)) for language in PACKAGED}
        for language, own in (_read_file(path) if path else {}).items():
            texts[language] = texts.get(language, {}) | own
        return cls(tuple(languages) or ("en",), texts)

    def language_for(self, wanted: str | None, key: str) -> str:
        """Return the language in which a key is said to a customer: theirs, without its region, or the first that has it."""
        tags = [] if wanted is None else [wanted, wanted.replace("_", "-").split("-")[0].lower()]
        for language in (*tags, *self.languages, "en"):
            if key in self.texts.get(language, {}):
                return language
        raise DataError(f"no message {key!r}{did_you_mean(key, KEYS) or ', expected one of ' + ', '.join(KEYS)}: correct the key")

    def write(self, key: str, *facts: Fact, language: str | None = None, **parts: Message) -> Message:
        """Return a message with its facts.

        Parameters
        ----------
        key : str
            One of `recsys.wording.keys.KEYS`.
        *facts : Fact
            Values by the names of their placeholders. One named `count` chooses the plural form.
        language : str or None
            The customer's, if it is known.
        **parts : Message
            Messages that stand for placeholders, such as the lines of a list.

        Raises
        ------
        DataError
            If there is no such message, or a placeholder has no value.
        """
        chosen = self.language_for(language, key)
        values = {fact.name: (Piece(self._value(fact, chosen), fact),) for fact in facts}
        values |= {name: part.pieces for name, part in parts.items()}
        forms = self.texts[chosen][key]
        template = forms.get(_category(facts, chosen), forms["other"])
        try:
            return Message(key, chosen, template.filled(values))
        except KeyError as error:
            raise DataError(f"message {key!r} lacks a value for {error.args[0]!r}: give a fact of that name") from error

    def of_text(self, text: str, language: str, facts: Iterable[Fact]) -> Message:
        """Return a message of a text that a tool brings, with its facts.

        Raises
        ------
        DataError
            If the text is no template, or a placeholder has no value.
        """
        values = {fact.name: (Piece(self._value(fact, language), fact),) for fact in facts}
        try:
            return Message("tool", language, Template.of(text).filled(values))
        except ValueError as error:
            raise DataError(f"the text {text!r} of a tool is no template: {error}") from error
        except KeyError as error:
            raise DataError(f"the text {text!r} of a tool lacks a value for {error.args[0]!r}: return one") from error

    def missing(self) -> list[str]:
        """Return one line for each language of the shop that lacks messages, for a check at start."""
        lines = []
        for language in self.languages:
            lacking = [key for key in KEYS if key not in self.texts.get(language, {})]
            if lacking:
                first = self.languages[0] if language != self.languages[0] else "en"
                some = "all messages" if len(lacking) == len(KEYS) else f"{len(lacking)} messages, such as {lacking[0]!r}"
                lines.append(
                    f"{language_name(language)} lacks {some}: they are said in {language_name(first)}; "
                    f"add them below [{language}] in the file of assistant.templates"
                )
        return lines

    def _value(self, fact: Fact, language: str) -> str:
        if isinstance(fact.value, bool):
            key = "yes" if fact.value else "no"
            return self.write(key, language=language).text
        return written(fact, language)


def _category(facts: tuple[Fact, ...], language: str) -> str:
    for fact in facts:
        if fact.name == PLURAL and isinstance(fact.value, int | float) and not isinstance(fact.value, bool):
            return plural_category(fact.value, language)
    return "other"


@cache
def _packaged(language: str) -> Mapping[str, Forms]:
    text = files("recsys.wording").joinpath("languages", f"{language}.toml").read_text(encoding="utf-8")
    return _language(tomllib.loads(text), f"{language}.toml")


def _read_file(path: Path) -> dict[str, dict[str, Forms]]:
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        content = tomllib.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} is not TOML ({one_line(error)}): {FORM}; correct the file") from error
    for language, table in content.items():
        if language in KEYS or not isinstance(table, dict):
            raise DataError(f"{path}: {language!r} stands in no language, {FORM}: put it below the language it is written in")
        if locale_of(language) is None:
            raise DataError(f"{path}: [{language}] is no language, expected a tag such as en, de or pt-BR: correct it")
    return {language: _language(table, f"{path}: [{language}]") for language, table in content.items()}


def _language(table: Mapping[str, Any], place: str) -> dict[str, Forms]:
    for key in table:
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f", expected one of {', '.join(KEYS)}"
            raise DataError(f"{place} has an unknown key {key!r}{hint}{'' if hint.endswith('?') else ': correct or remove it'}")
    return {key: _forms(key, value, f"{place} {key}") for key, value in table.items()}


def _forms(key: str, value: object, place: str) -> Forms:
    forms = {"other": value} if isinstance(value, str) else value
    if not isinstance(forms, dict) or "other" not in forms or not set(forms) <= set(_CATEGORIES):
        raise DataError(
            f"{place} is {value!r}, expected a text, or texts by plural such as {{ one = ..., other = ... }} with other: correct it"
        )
    return {category: _template(key, text, place) for category, text in forms.items()}


def _template(key: str, text: object, place: str) -> Template:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{place} is {text!r}, expected a text: write what is said")
    try:
        template = Template.of(text)
    except ValueError as error:
        raise DataError(f"{place} = {text!r}: {error}") from error
    known = KEYS[key]
    names = ", ".join(f"{{{name}}}" for name in sorted(known.known)) or "no placeholders"
    for name in sorted(template.names - known.known):
        raise DataError(f"{place} has an unknown placeholder {{{name}}}, expected {names}: correct or remove it")
    for name in sorted(known.must - template.must):
        raise DataError(f"{place} lacks the placeholder {{{name}}}, expected it outside square brackets: add it")
    for name in sorted(template.must - known.must):
        raise DataError(f"{place} has {{{name}}}, which may have no value: put the part that needs it in square brackets")
    return template
