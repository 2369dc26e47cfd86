"""A file of dialogues to replay: one JSON object a line, with what each turn must come to. See docs/assistant.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from features.errors import DataError, disk_errors
from recsys.apps.assistant.request import MOST_CHARACTERS
from recsys.dialogue.commands import HandOverReason

if TYPE_CHECKING:
    from pathlib import Path

FORM = 'expected {"name": "...", "turns": [{"say": "...", "expect": {...}}]}'
NAMED = 5  # bad lines that a note names


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
CommandName = Literal[
    "start_flow",
    "set_slot",
    "cancel_flow",
    "find_products",
    "compare_products",
    "show_product",
    "ask_product",
    "answer_question",
    "clarify",
    "small_talk",
    "hand_over",
]
Place = Annotated[int, Field(ge=1)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expectation(_Line):
    """What a turn must come to; what is not named may be anything. "The list" is the one that was shown before the turn.

    Attributes
    ----------
    command : first command that is understood, or several of which it must be one.
    titles : regular expression that four of five shown products match, as "title || category" in lower case.
    without : regular expression that no shown product matches.
    min_price, max_price : of all shown products.
    cheaper : whether all shown products must cost less than the middle one of the list.
    new : whether no shown product may have stood in the list.
    item : number in the list of the product that is the subject now.
    states : what the reply must state of the subject, as the catalogue has it.
    compared : numbers in the list of the products that are compared.
    page : question of the help page that is quoted.
    flow : tool whose flow runs now; "" for none.
    slot : names and values of slots of the flow that runs.
    asked_slot : slot that the reply asks for.
    text, not_text : regular expression that the reply matches or does not match.
    hand_over : reason for which a person takes over; null for none.
    answered : whether the customer got what was asked for.
    """

    command: CommandName | tuple[CommandName, ...] | None = None
    titles: Pattern | None = None
    without: Pattern | None = None
    min_price: float | None = None
    max_price: float | None = None
    cheaper: bool | None = None
    new: bool | None = None
    item: Place | None = None
    states: Literal["price", "brand", "category", "title"] | None = None
    compared: tuple[Place, ...] | None = None
    page: str | None = None
    flow: str | None = None
    slot: dict[str, str] | None = None
    asked_slot: str | None = None
    text: Pattern | None = None
    not_text: Pattern | None = None
    hand_over: HandOverReason | None = None
    answered: bool | None = None


class TurnCase(_Line):
    """What the customer says, and what must come of it."""

    say: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    expect: Expectation = Expectation()


class Dialogue(_Line):
    """A dialogue with known right outcomes.

    Attributes
    ----------
    kind, language : that the report is split by.
    user : id of the signed-in customer; None for a visitor.
    """

    name: str = Field(min_length=1)
    kind: str = "dialogue"
    language: str | None = None
    user: str | None = None
    turns: tuple[TurnCase, ...] = Field(min_length=1)


def read_dialogues(path: Path) -> tuple[list[Dialogue], list[str]]:
    """Read a file, and return its dialogues and one line of text for each line that is none.

    Raises
    ------
    DataError
        The file cannot be read, or no line of it is a dialogue.
    """
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start:,}), expected JSON lines: convert it") from error
    dialogues, bad = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            dialogues.append(Dialogue.model_validate_json(line))
        except ValidationError as error:
            bad.append(f"line {number}: {_problem(error)}")
    if not dialogues:
        first = f"; {bad[0]}" if bad else ""
        raise DataError(f"{path} holds no dialogue, {FORM}{first}: correct the file, see docs/assistant.md")
    return dialogues, bad


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        return f"no JSON ({first.get('ctx', {}).get('error')}), {FORM}"
    if first["type"] == "extra_forbidden":
        known = Expectation if "expect" in first["loc"] else TurnCase if "turns" in first["loc"] else Dialogue
        return f"{place} is not known, expected one of {', '.join(known.model_fields)}"
    return f"{place or 'the line'}: {first['msg'].removeprefix('Value error, ')}, found {str(first['input'])[:60]!r}; {FORM}"
