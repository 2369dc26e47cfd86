"""A stand-in for `recsys.Shop`, so that the command line is tested alone; and the tiny shop, ingested, trained and published."""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eval.protocol.report import Report
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from recsys.apps.assistant.answers import Answer as Answered
from recsys.apps.assistant.answers import HandedOver, Reply, Statement
from recsys.apps.search.answers import AppliedFilter, Facet, Hit, SearchAnswer
from recsys.cli.main import run
from recsys.dialogue.commands import AskProduct
from recsys.dialogue.state import DialogueState, Turn
from recsys.recommend.answers import Answer, Match, Matches, Recommendation
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import Refreshed
from recsys.shop import Shop
from recsys.training import find_or_train
from recsys.training.options import TrainOptions
from recsys.training.windows import moment
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import Message, Piece
from recsys.workspace.workspace import Workspace
from tests.recsys.calls import Command, Said, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys.apps.assistant.request import AssistantRequest
    from recsys.artifacts.model import Model
    from recsys.settings.settings import Settings

ITEM = Recommendation(1, "sku-7", "Green tea", "tea", 4.5, 0.25, "bought 6 times, last 13 days ago")
HOSTILE = Recommendation(2, "x,y", "[red]a\x1b[31m\x00b\u202ec\nd[/red]", None, None, 0.0625, 'close to "Tea", that you bought')
HITS = (
    Hit(1, "sku-7", "Green tea", "tea", 1.95, 0.5, 0.25, "matches: green tea", (("bm25", 1.5), ("popular", -0.25))),
    Hit(2, "x,y", HOSTILE.title, None, None, 0.25, None, "bought 6 times"),
)
FOUND = SearchAnswer(
    "gren tea under 3 dollars",
    None,
    "b1",
    HITS,
    read_as="green tea",
    corrections=(("gren", "green"),),
    did_you_mean="green teas",
    filters=(AppliedFilter("max_price:3", "up to 3", "under 3 dollars"), AppliedFilter("brand:x y", "brand x y", "x y", relaxed=True)),
    facets=(
        Facet("category", (("tea", 12), ("[b]x", 1))),
        Facet("price", (("1-2", 9),)),
        Facet("brand", ()),
        Facet("praised", (("quality", 3),)),
    ),
    fallback="no item has these words: nearest in meaning",
    notes=("no item has the word 'xyz'",),
)


def told(request: AssistantRequest) -> Reply:
    """A reply that repeats the message beside a title that attacks; a message with "human" is handed over."""
    state = DialogueState(turn=1, transcript=(Turn(customer=request.text, assistant=""),))
    if "human" in request.text:
        content = HandedOver(Message("hand_over_human", "en", (Piece("A colleague answers."),)), "human")
        return Reply(request.conversation, "b1", (), content, state.model_copy(update={"handed_over": "human"}))
    name = Piece(HOSTILE.title.replace("\n", " "), Fact("name", "x", FactKind.NAME, "catalogue", "sku-7"))
    message = Message("product_list", "en", (Piece(f"Found for {request.text}:\n1. "), name))
    return Reply(
        request.conversation, "b1", (AskProduct(item="sku-7", question=request.text),), Answered((Statement(message),), ("sku-7",)), state
    )


WITHOUT_IMPRESSIONS = shutil.ignore_patterns("impressions.sqlite*")  # pages that other tests asked the shared service for


class FakeShop:
    """Stands in for `recsys.Shop`; remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None
        self.root = Path()

    def __call__(self, workspace: Workspace, settings: Settings) -> FakeShop:
        self.root = workspace.root
        return self

    @property
    def recommender(self) -> FakeShop:
        return self

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error:
            raise self.error

    def train(self, until, *, preset, device, random_state, warm_start, cluster=None) -> str:
        self._note("train", self.root, until, preset, device, random_state, warm_start)
        return "trained"

    def build_index(self, *, device, cluster=None) -> str:
        self._note("build_index", self.root)
        return "published"

    def refresh(self, *, device, cluster=None) -> Refreshed:
        self._note("refresh", self.root)
        return Refreshed("refreshed")

    def answers(self, options, users) -> Iterator[Answer]:
        self._note("answers", self.root, options, users)
        fallback = None if users[0] else "popular: nothing is known"
        return iter([Answer(user, "b1", fallback, (ITEM, HOSTILE)) for user in users])

    def similar(self, item, k, max_per_group=1, *, variants=False) -> Matches:
        self._note("similar", item, k, max_per_group, variants)
        return Matches(item, "b1", (Match(1, "sku-7", "Green tea", "tea", None, 0.875),))

    def search_answers(self, options, queries) -> Iterator[SearchAnswer]:
        self._note("search", self.root, options, queries)
        return iter([replace(FOUND, query=text, user_id=user, items=() if "none" in text else FOUND.items) for text, user in queries])

    @property
    def assistant(self) -> FakeShop:
        return self

    def answer(self, request: AssistantRequest) -> Reply:
        self._note("assistant", request.text, request.conversation, request.user)
        return told(request)

    def evaluate(self, **options) -> Report:
        self._note("evaluate", self.root)
        return Report(
            metrics={}, slices={}, stages={}, curve={}, reliability=None, per_user={}, cut="2017-12-04T00:00:00", users=3, items=9
        )


@pytest.fixture
def fake_shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeShop:
    fake = FakeShop()
    monkeypatch.setattr("recsys.shop.Shop", fake)
    monkeypatch.setattr(
        "recsys.refresh.refresh.refresh",
        lambda workspace, settings, device, watch=None, cluster=None: fake(workspace, settings).refresh(device=device),
    )
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    """A command sets up logging and warnings for its process; a test runs many."""
    handlers = logging.getLogger().handlers[:]
    with warnings.catch_warnings():
        yield
    logging.getLogger().handlers[:] = handlers


@dataclass(frozen=True)
class Place:
    """A folder with the shop's files, its workspace, and what `train` and `build-index` said, where they were run."""

    folder: Path
    settings: Settings
    trained: str = ""
    built: str = ""

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    @property
    def shop(self) -> Shop:
        return Shop(self.workspace, self.settings)

    def answer(self, user: str | None = None, **options: Any) -> Answer:
        """One user's answer of the bundle in use."""
        return next(self.shop.answers(RecommendOptions(**options), [user]))

    @property
    def items(self) -> Path:
        return self.folder / "items.csv"

    @property
    def log(self) -> Path:
        return self.folder / "interactions.csv"

    def ingest(self) -> str:
        return str(ingest(Source(items=self.items, interactions=self.log), self.workspace.data))


@pytest.fixture(scope="session")
def _ready(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("ready"), tiny_settings)
    shop.write(place.folder)
    place.ingest()
    trained = find_or_train.train(place.workspace, tiny_settings, TrainOptions())
    return Place(place.folder, tiny_settings, trained, build.build_index(place.workspace, tiny_settings))


@pytest.fixture(scope="session")
def ready(_ready: Place) -> Place:
    """The tiny shop, trained and published. For reading: many tests share it."""
    return _ready


@pytest.fixture
def spare(_ready: Place, tmp_path: Path) -> Place:
    """A copy of `ready` to change; its sources are read from the copy."""
    shutil.copytree(_ready.folder, tmp_path / "shop", ignore=WITHOUT_IMPRESSIONS)
    place = Place(tmp_path / "shop", _ready.settings, _ready.trained, _ready.built)
    for record in place.workspace.data.glob("*/source.json"):
        text = record.read_text(encoding="utf-8")
        assert str(_ready.folder) in text
        record.unlink()
        record.write_text(text.replace(str(_ready.folder), str(place.folder)), encoding="utf-8")
    return place


@pytest.fixture
def model_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Place, int, int], None]:
    """Keeps the model there is as one that was trained until a moment, with a seed: training is not what is tested."""

    def keep(place: Place, until: int, seed: int) -> None:
        model = build.current_model(place.workspace, place.settings)

        def fitted(_shop: object, _device: object, work: Path, _cache: Path) -> Model:
            work.mkdir(parents=True)
            return replace(model, about=model.about | {"until": moment(until)})

        with monkeypatch.context() as patch:
            patch.setattr(find_or_train, "train_model", fitted)
            find_or_train.find_or_train(
                place.workspace, place.workspace.models, place.settings, TrainOptions(seed=seed), place.workspace.load(), until
            )

    return keep


@pytest.fixture
def fresh(shop: Any, tiny_settings: Settings, tmp_path: Path) -> Callable[[], Place]:
    """The tiny shop's files in a new folder, nothing done with them yet."""

    def make() -> Place:
        place = Place(tmp_path / f"fresh-{len(list(tmp_path.iterdir()))}", tiny_settings)
        place.folder.mkdir()
        shop.write(place.folder)
        return place

    return make


@pytest.fixture
def command(tiny_settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command line with the tiny shop's settings, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "tiny.toml"
    config.write_text("\n".join(toml(tiny_settings.model_dump(mode="json", exclude_unset=True))), encoding="utf-8")

    def call(*words: object, workspace: Path = Path("workspace")) -> Said:
        capsys.readouterr()
        code = run(["--workspace", str(workspace), "--config", str(config), *map(str, words)])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call
