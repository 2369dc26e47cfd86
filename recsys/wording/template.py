"""One template: text with placeholders in braces and optional parts in square brackets.

"{name}[: {price}][, {stock}]" leaves a part in brackets out unless all of its placeholders have a value. "{{", "}}", "[[" and "]]" are the
signs themselves. Values are inserted once and never read as a template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.wording.message import Piece

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{(?P<name>[^{}\[\]]*)\}|[{}\[\]]")


@dataclass(frozen=True)
class Part:
    """A stretch of a template: words and the names of placeholders, in order.

    Attributes
    ----------
    steps : tuple of (str, bool)
        Words, or the name of a placeholder where the second is true.
    optional : bool
        Whether it is left out without a value.
    """

    steps: tuple[tuple[str, bool], ...]
    optional: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The placeholders."""
        return frozenset(text for text, is_name in self.steps if is_name)


@dataclass(frozen=True)
class Template:
    """A template that was read."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Read a template.

        Raises
        ------
        ValueError
            If a brace or a bracket has no partner, or brackets stand in brackets.
        """
        parts: list[Part] = []
        steps: list[tuple[str, bool]] = []
        inside, end = False, 0

        def close(optional: bool) -> None:
            if steps:
                parts.append(Part(tuple(steps), optional))
                steps.clear()

        for found in _TOKEN.finditer(text):
            _say(steps, text[end : found.start()])
            end, token = found.end(), found[0]
            if found["name"] is not None:
                steps.append((found["name"].strip(), True))
            elif len(token) == 2:
                _say(steps, token[0])
            elif token in "[]" and (token == "]") == inside:
                close(inside)
                inside = not inside
            else:
                raise ValueError(f"{token!r} at character {found.start() + 1} has no partner; write {token * 2!r} for the sign itself")
        if inside:
            raise ValueError("'[' has no partner; write '[[' for the sign itself")
        _say(steps, text[end:])
        close(False)
        return cls(tuple(parts))

    @property
    def must(self) -> frozenset[str]:
        """Placeholders outside brackets."""
        return frozenset[str]().union(*(part.names for part in self.parts if not part.optional))

    @property
    def names(self) -> frozenset[str]:
        """All placeholders."""
        return frozenset[str]().union(*(part.names for part in self.parts))

    def filled(self, values: Mapping[str, tuple[Piece, ...]]) -> tuple[Piece, ...]:
        """Return the pieces of the text with values inserted.

        Raises
        ------
        KeyError
            If a placeholder outside brackets has no value.
        """
        from recsys.wording.message import Piece

        pieces: list[Piece] = []
        for part in self.parts:
            if part.optional and not part.names <= values.keys():
                continue
            for text, is_name in part.steps:
                pieces.extend(values[text] if is_name else (Piece(text),))
        return tuple(pieces)


def _say(steps: list[tuple[str, bool]], text: str) -> None:
    if text and steps and not steps[-1][1]:
        steps[-1] = (steps[-1][0] + text, False)
    elif text:
        steps.append((text, False))
