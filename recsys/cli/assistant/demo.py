"""The conversation of `recsys demo`: a household asks for products, about one of them, about the shop, and for what it bought."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from features.storage.atomic import write_whole
from features.text.plain import plain
from recsys.apps.assistant.operation.opening import open_assistant
from recsys.apps.assistant.request import AssistantRequest
from recsys.cli.assistant.terminal import notes
from recsys.dialogue.conversations import Conversations

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.apps.search.pipeline import Search
    from recsys.settings.settings import Settings

PAGES = "help-pages.jsonl"  # of the workspace
INDENT = (0, 0, 0, 2)
MESSAGES = (
    "do you have decaf coffee?",
    "something cheaper",
    "compare the first and the third",
    "how much does delivery cost?",
    "bis wann kann ich meine Bestellung stornieren?",
    "what did I buy last time?",
    "I was charged twice",
)


def write_help_pages(folder: Path) -> Path:
    """Write the help pages of the made shop into a folder; return their path. Complete Journey has none."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = files("eval.simulation.help_shop").joinpath("pages.jsonl").read_text(encoding="utf-8")
    write_whole(folder / PAGES, pages)
    return folder / PAGES


def show_conversation(search: Search, settings: Settings, user: str, console: Console) -> None:
    """Print what a customer asks, what the assistant answers, and from where. The conversation is not kept."""
    console.print(Text("Help pages and their answers are made up; products, prices and orders are the shop's own."))
    with TemporaryDirectory() as folder:
        assistant = open_assistant(search, settings.assistant, Conversations(Path(folder) / "conversations.sqlite"))
        for message in MESSAGES:
            reply = assistant.answer(AssistantRequest(message, "demo", user))
            console.print(Text(f"\nHousehold {user}: {message}", style="bold"))
            for line in reply.text.split("\n"):
                console.print(Padding(Text(plain(line)), INDENT, expand=False))
            for note in notes(reply):
                console.print(Padding(Text(f"({plain(note)})", style="dim"), INDENT, expand=False))
