"""`recsys evaluate assistant`: replays a file of dialogues, and compares what comes of them with what must."""

from __future__ import annotations

import logging
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import DataError
from features.storage.atomic import write_whole
from recsys.apps.assistant.evaluation.audit import FactAudit
from recsys.apps.assistant.evaluation.dialogue_file import NAMED, read_dialogues
from recsys.apps.assistant.evaluation.judge import TurnJudge
from recsys.apps.assistant.evaluation.report import AssistantReport, DialogueResult, TurnResult
from recsys.apps.assistant.pipeline import Assistant, outcome_of
from recsys.apps.assistant.request import AssistantRequest
from recsys.dialogue.commands import Clarify
from recsys.dialogue.conversations import Conversations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from recsys.apps.assistant.answers import Reply
    from recsys.apps.assistant.evaluation.dialogue_file import Dialogue
    from recsys.dialogue.tools import Tools
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


def evaluate_assistant(workspace: Workspace, settings: Settings, file: Path | None) -> AssistantReport:
    """Replay a file of dialogues with the bundle in use, and write JSON to reports/.

    Raises
    ------
    DataError
        No file is named, it cannot be read, or no line of it is a dialogue.
    BundleError
        No bundle is published.
    """
    if file is None:
        raise DataError("no file of dialogues is named, expected JSON lines as in docs/assistant.md: add --dialogues FILE")
    from recsys.apps.search.pipeline import Search
    from recsys.recommend.open import open_recommender

    dialogues, bad = read_dialogues(file)
    for line in bad[:NAMED]:
        _log.warning("%s, %s: it is left out", file, line)
    if len(bad) > NAMED:
        _log.warning("%s: %d more lines are left out, --json has all", file, len(bad) - NAMED)
    with conversations() as store:
        assistant = Assistant(Search(open_recommender(workspace)), settings.assistant, store)
        report = replace(replay(assistant, dialogues), left_out=tuple(bad))
    write_whole(workspace.reports / "assistant_evaluation.json", report.to_json())
    return report


@contextmanager
def conversations() -> Iterator[Conversations]:
    """Give a store of conversations that is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Conversations(Path(folder) / "conversations.sqlite")


def replay(assistant: Assistant, dialogues: Sequence[Dialogue], done: Callable[[DialogueResult], None] | None = None) -> AssistantReport:
    """Hold dialogues, and judge each turn.

    Parameters
    ----------
    done : is told each dialogue's result.
    """
    audit = FactAudit(assistant)
    assistant.__dict__["tools"] = RecordingTools(assistant.tools, audit.returned)
    results = []
    for number, one in enumerate(dialogues):
        results.append(_replayed(assistant, audit, one, f"replayed-{number}"))
        if done is not None:
            done(results[-1])
    return AssistantReport(tuple(results), assistant.recommender.bundle_id)


def _replayed(assistant: Assistant, audit: FactAudit, dialogue: Dialogue, conversation: str) -> DialogueResult:
    turns, before, language = [], (), None
    for case in dialogue.turns:
        audit.returned.clear()
        began = time.perf_counter()
        reply = assistant.answer(AssistantRequest(case.say, conversation, dialogue.user))
        seconds = time.perf_counter() - began
        if (number := _offered(assistant, reply, case.expect.page)) is not None:
            reply = assistant.answer(AssistantRequest(str(number), conversation, dialogue.user))
        problems = TurnJudge(assistant, reply, before).problems(case.expect)
        turns.append(TurnResult(case.say, reply.text, outcome_of(reply), seconds, tuple(problems), tuple(audit.unsupported(reply))))
        before = reply.state.focus.last if reply.state.focus else ()
        language = reply.state.language or language
    return DialogueResult(dialogue.name, dialogue.kind, dialogue.language or language or "unknown", tuple(turns))


def _offered(assistant: Assistant, reply: Reply, page: str | None) -> int | None:
    """Return the number under which a help page is offered; the customer then chooses it."""
    rows = reply.commands[0].pages if page is not None and isinstance(reply.commands[0], Clarify) else ()
    return next((number for number, row in enumerate(rows, 1) if assistant.desk.page(row)["question"] == page), None)


class RecordingTools:
    """Tools that keep what they returned, to be compared with what is said of it."""

    def __init__(self, tools: Tools, returned: list[Mapping[str, Any]]) -> None:
        self._tools, self._returned = tools, returned

    def __iter__(self) -> Any:
        return iter(self._tools)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tools, name)

    def __getitem__(self, name: str) -> Any:
        return self._tools[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def call(self, name: str, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Call a tool, and keep what it returns."""
        found = self._tools.call(name, slots, user)
        self._returned.append(found)
        return found
