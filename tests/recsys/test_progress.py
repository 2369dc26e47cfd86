"""Progress goes through a callback: layers below recsys draw nothing, and recsys draws one kind of bar."""

from __future__ import annotations

import ast
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.progress import silent
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states
from recsys.progress import open_bar, terminal_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.progress import Step

ROOT = Path(__file__).parents[2]
BELOW = [path for layer in ("features", "retrieval", "ranking", "eval") for path in sorted((ROOT / layer).rglob("*.py"))]
# Reports are tables that a caller prints.
TABLES = {"rich.box", "rich.console.Group", "rich.table.Table", "rich.text.Text"}


def drawn(source: str, allowed: set[str]) -> list[str]:
    """What a module's text imports of rich and its like, and what it prints."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write"):
            found.append(ast.unparse(node))
        library = ("rich", "tqdm", "torch.utils.tensorboard")
        found += [name for name in names if name.startswith(library) and not any(name.startswith(some) for some in allowed)]
    return found


def test_layers_below_recsys_neither_print_nor_draw() -> None:
    assert len(BELOW) > 100
    reports = ROOT / "eval" / "reports"
    found = {path: drawn(path.read_text(encoding="utf-8"), TABLES if path.is_relative_to(reports) else set()) for path in BELOW}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


def test_the_rule_finds_what_it_forbids() -> None:
    source = "import rich\nfrom rich.progress import Progress\nfrom rich.table import Table\nprint(1)\nsys.stderr.write('x')"
    assert drawn(source, TABLES) == ["rich", "rich.progress.Progress", "print(1)", "sys.stderr.write('x')"]


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))


class Recorder:
    """Progress that remembers: label, total, and the steps of each piece of work."""

    def __init__(self) -> None:
        self.work: list[tuple[str, int, list[tuple[int, str]]]] = []

    @contextmanager
    def __call__(self, label: str, total: int) -> Iterator[Step]:
        steps: list[tuple[int, str]] = []
        self.work.append((label, total, steps))

        def step(advance: int = 1, note: str = "") -> None:
            steps.append((advance, note))

        yield step


def test_encoding_reports_every_text_that_is_not_cached(encoder: TextEncoder, tmp_path: Path) -> None:
    recorder = Recorder()
    cached_states(encoder, ["green tea", "red soap", "blue tea"], tmp_path, recorder)
    cached_states(encoder, ["red soap", "oat milk"], tmp_path, recorder)
    assert [(label, total, sum(n for n, _ in steps)) for label, total, steps in recorder.work] == [
        ("encoding texts", 3, 3),
        ("encoding texts", 1, 1),
    ]


def test_silence_changes_nothing(encoder: TextEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = cached_states(encoder, ["green tea"], tmp_path / "one", Recorder())
    other = cached_states(encoder, ["green tea"], tmp_path / "other", silent)
    assert np.array_equal(one.states, other.states)
    assert capsys.readouterr() == ("", "")


class Terminal:
    """A stderr that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put one in the place of stderr. Not a fixture: pytest sets stderr again when the test itself begins."""
    found = Terminal()
    for name, value in (("TERM", "xterm"), ("COLUMNS", "120"), ("TTY_COMPATIBLE", "1")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", found)
    return found


def test_bars_show_label_count_and_note_as_they_stand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stderr = terminal(monkeypatch)
    with terminal_progress("arm [red]b", 4) as step:
        step(3, "loss [0.5]")
    assert all(text in stderr.text for text in ("arm [red]b", "3/4", "loss [0.5]"))
    assert not capsys.readouterr().out


def test_a_bar_takes_another_label_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with open_bar("evaluating", None) as update:
        update(description="all items", completed=2, total=5)
    assert "all items" in stderr.text
    assert "2/5" in stderr.text


def test_bars_leave_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress("encoding texts", 2) as step:
        step()
    assert not capsys.readouterr().out
