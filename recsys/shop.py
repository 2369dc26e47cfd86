"""The public face: one shop, its data and models in a workspace, and what they answer.

The command line is a thin layer over the same calls. Frames may be pandas, polars or Arrow; answers come back in the caller's kind.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recsys.environment import prepare_environment
from recsys.frames import frame_of, store
from recsys.moments import end_of_training
from recsys.remote.publishing import erase_everywhere, fetch_first, shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from narwhals.typing import IntoDataFrame

    from eval.protocol.report import Report
    from features.ingest.source import Source
    from features.ingest.summary import IngestSummary
    from recsys.apps.assistant.pipeline import Assistant
    from recsys.apps.customers.reader import CustomersReader
    from recsys.apps.reviews.pipeline import ReviewsReader
    from recsys.apps.search.answers import SearchAnswer
    from recsys.apps.search.pipeline import Search
    from recsys.apps.search.request import SearchOptions
    from recsys.apps.storefront.pipeline import Storefront
    from recsys.compute.job import Cluster
    from recsys.privacy.erasure import Erased
    from recsys.recommend.answers import Answer
    from recsys.recommend.pipeline import Recommender
    from recsys.recommend.request import RecommendOptions
    from recsys.refresh.refresh import Refreshed
    from recsys.settings.names import Device, Preset
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

QUERIES_AT_ONCE = 64
FRAMES = "frames"  # folder of the workspace with the tables that came as frames, for the next refresh


class Shop:
    """A shop's data, models and answers.

    Parameters
    ----------
    workspace : the folder of the shop; `Shop.open` and `Shop.from_frames` make it from a path.
    settings : as in recsys.toml.

    Examples
    --------
    >>> shop = Shop.from_frames(items, interactions, workspace="my-shop")  # doctest: +SKIP
    >>> shop.train(until="2017-12-04")  # doctest: +SKIP
    >>> shop.build_index()  # doctest: +SKIP
    >>> shop.recommend(["123", None], k=10, new_only=True)  # doctest: +SKIP
    """

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        prepare_environment()
        self.workspace, self.settings, self._kind = workspace, settings, "polars"

    @classmethod
    def open(cls, path: str | Path = "workspace", *, config: str | Path | None = None) -> Self:
        """Open a workspace. Raises ConfigError where the configuration has an unknown key or a wrong value.

        Parameters
        ----------
        path : the folder; what is missing in it is reported by the call that needs it.
        config : a TOML file; None takes recsys.toml where there is one.
        """
        prepare_environment()
        from recsys.settings.settings import load_settings
        from recsys.workspace.workspace import Workspace

        return cls(Workspace(Path(path)), load_settings(None if config is None else Path(config)))

    @classmethod
    def from_frames(
        cls,
        items: IntoDataFrame | str | Path | None,
        interactions: IntoDataFrame | str | Path,
        *,
        queries: IntoDataFrame | str | Path | None = None,
        reviews: IntoDataFrame | str | Path | None = None,
        workspace: str | Path = "workspace",
        config: str | Path | None = None,
    ) -> Self:
        """Ingest a catalogue and a log, and open their workspace. Raises DataError where a column is missing, or no valid row is left.

        Parameters
        ----------
        items : a frame or a file with the columns of docs/data-format.md; None takes the catalogue from the log's rows.
        interactions : a frame or a file.
        queries, reviews : the search log, and what customers say of items: a frame or a file; None for a shop without.
        workspace : the folder; data that was ingested into it before is replaced.
        """
        shop = cls.open(workspace, config=config)
        files = {}
        for name, table in {"items": items, "interactions": interactions, "queries": queries, "reviews": reviews}.items():
            if isinstance(table, str | Path):
                files[name] = Path(table)
            elif table is not None:
                files[name], shop._kind = store(table, shop.workspace.root / FRAMES / f"{name}.parquet")
        shop.ingest(**files)
        return shop

    @shared
    def ingest(self, source: Source | None = None, **options: Any) -> IngestSummary:
        """Read the shop's tables in.

        Parameters
        ----------
        source : what to read; None takes the section [source] of the settings, completed by `options`.
        options : dataset, items, interactions, queries, reviews, help_pages or format.

        Raises
        ------
        ConfigError: neither names a source.
        DataError: a table cannot be read, lacks a required column, or has no valid row.
        """
        return self.workspace.ingest(self.settings.source_or_raise(source, **options))

    def check(self, source: Source | None = None, **options: Any) -> IngestSummary:
        """Read and judge the shop's tables as `ingest` does, and store nothing; `profile` says how each column was understood."""
        return self.workspace.dry_run(self.settings.source_or_raise(source, **options))

    @shared
    def train(
        self,
        until: str | datetime | None = None,
        *,
        preset: Preset = "quick",
        device: Device = "auto",
        random_state: int = 0,
        warm_start: bool | None = None,
        cluster: Cluster | None = None,
    ) -> str:
        """Train the models, unless some of the same data, settings and seed exist. Returns one line: the model, and where its card is.

        Raises DataError where nothing was ingested, ConfigError where `until` is no date, ModelError where no event lies before it.

        Parameters
        ----------
        until : learn only from events before this moment, ISO 8601, UTC without a zone; None learns from all.
        preset : `quick` for two cores, `full` for a GPU or a night.
        random_state : the same value and data give the same model on one machine.
        warm_start : whether to go on from the last model where that may be done; None takes `continual.enabled`.
        cluster : encodes the catalogue and trains the towers in place of this process, see `recsys.compute.ray.open_cluster`.
        """
        from recsys.training.find_or_train import train
        from recsys.training.options import TrainOptions

        options = TrainOptions(end_of_training(until), preset, device, random_state, warm_start, cluster=cluster)
        return train(self.workspace, self.settings, options)

    @shared
    def build_index(self, *, device: Device = "auto", cluster: Cluster | None = None) -> str:
        """Encode the catalogue, here or on a cluster, build the index, and publish both with the model as one bundle. Returns one line."""
        from recsys.refresh.build import build_index

        self._close()
        return build_index(self.workspace, self.settings, device, cluster)

    def refresh(self, *, device: Device = "auto", cluster: Cluster | None = None) -> Refreshed:
        """Read the sources again, and publish; raises RefusedError where a quality gate did not pass: the bundle in use stays."""
        from recsys.apps.watches import WATCHES
        from recsys.refresh.refresh import refresh

        self._close()
        return refresh(self.workspace, self.settings, device, WATCHES, cluster)

    @cached_property
    def recommender(self) -> Recommender:
        """The recommender of the bundle in use; raises BundleError where none is published, or it is damaged."""
        from recsys.recommend.open import open_recommender

        fetch_first(self.workspace, self.settings)
        return open_recommender(self.workspace, device=self.settings.serve.device)

    @cached_property
    def searcher(self) -> Search:
        """The search over `recommender`; raises what that does."""
        from recsys.apps.search.pipeline import Search

        return Search(self.recommender)

    @cached_property
    def reviews(self) -> ReviewsReader:
        """What customers say, over `recommender`; raises what that does."""
        from recsys.apps.reviews.pipeline import ReviewsReader

        return ReviewsReader(self.recommender, self.workspace.reports)

    @cached_property
    def customers(self) -> CustomersReader:
        """Who the customers are, over `recommender`; raises what that does."""
        from recsys.apps.customers.reader import CustomersReader

        return CustomersReader(self.recommender, self.workspace.reports)

    @cached_property
    def storefront(self) -> Storefront:
        """The pages of a storefront, over `recommender`; raises what that does, and where `storefront.place` is wrong."""
        from recsys.apps.storefront.pipeline import Storefront

        return Storefront.open(self.recommender, self.settings.storefront, self.workspace)

    @cached_property
    def assistant(self) -> Assistant:
        """Answers customers' messages, over `recommender`; raises what that does, and where templates or a tool are wrong."""
        from recsys.apps.assistant.operation.opening import open_assistant

        return open_assistant(self.searcher, self.settings.assistant, self.workspace.conversations)

    def _close(self) -> None:
        """Forget the open recommender, so that the next call opens the bundle in use."""
        for name in ("recommender", "searcher", "reviews", "customers", "assistant", "storefront"):
            self.__dict__.pop(name, None)

    def answers(self, options: RecommendOptions, users: Sequence[str | None]) -> Iterator[Answer]:
        """Answer users in order, one `Answer` each; `recommend` is the same as a frame."""
        return self.recommender.answer(options, users)

    def recommend(self, users: Iterable[object] | None = None, k: int = 10, **options: Any) -> Any:
        """Recommend k items to each user.

        Parameters
        ----------
        users : external ids; None among them is an unknown visitor. None alone is one unknown visitor.
        options : category, max_price, in_stock, exclude, history, new_only, diversity, max_per_group, unsold.

        Returns
        -------
        A frame with user_id, item_id, rank, probability and reason, best first. Users without history get what is
        popular, and the reason says so. probability is null where no trained model ranked the list.

        Raises DataError where an item id or a category is unknown.
        """
        from recsys.recommend.request import RecommendOptions

        ids = [None] if users is None else [None if user is None else str(user) for user in users]
        listed = {name: tuple(map(str, options[name])) for name in ("history", "exclude") if name in options}
        asked = replace(RecommendOptions(k=k), **(options | listed))
        rows = ({"user_id": answer.user_id} | vars(item) for answer in self.answers(asked, ids) for item in answer.items)
        return frame_of(rows, {"user_id": str, "item_id": str, "rank": int, "probability": float, "reason": str}, self._kind)

    def similar(self, item_id: object, k: int = 10, *, variants: bool = False) -> Any:
        """Find the k items nearest to an item, with `variants` also its own: a frame with item_id, title, rank and score (cosine)."""
        items = self.recommender.similar(str(item_id), k, variants=variants).items
        return frame_of(map(vars, items), {"item_id": str, "title": str, "rank": int, "score": float}, self._kind)

    def search_answers(self, options: SearchOptions, queries: Sequence[tuple[str, str | None]]) -> Iterator[SearchAnswer]:
        """Answer queries (text, user) in order, one `SearchAnswer` each; `search` is the same as a frame, for one query."""
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            yield from self.searcher.answer(options, queries[start : start + QUERIES_AT_ONCE])

    def search(self, text: str, k: int = 10, user: object = None, **options: Any) -> Any:
        """Find the k items that a query asks for.

        Parameters
        ----------
        user : external id; for a known user the own purchases count. None is an unknown visitor.
        options : category, brand, praised, min_price, max_price, in_stock, exclude, ignore, verbatim, max_per_group.

        Returns
        -------
        A frame with item_id, title, rank, score, probability and reason, best first. `search_answers` also says how the query was read.

        Raises DataError where the text is empty or too long, or an item id, a brand, a category or an aspect is unknown.
        """
        from recsys.apps.search.request import SearchOptions, checked_text

        listed = {name: tuple(map(str, options[name])) for name in ("exclude", "ignore") if name in options}
        asked = replace(SearchOptions(k=k), **(options | listed))
        (answer,) = self.search_answers(asked, [(checked_text(text), None if user is None else str(user))])
        types = {"item_id": str, "title": str, "rank": int, "score": float, "probability": float, "reason": str}
        return frame_of(map(vars, answer.items), types, self._kind)

    def evaluate(self, *, preset: Preset = "quick", random_state: int = 0) -> Report:
        """Evaluate on the last weeks of the log beside tuned baselines; options as in `train`, which runs first where need be."""
        from recsys.offline.evaluate import tracked_evaluation
        from recsys.training.options import TrainOptions

        return tracked_evaluation(self.workspace, self.settings, TrainOptions(preset=preset, seed=random_state))

    def erase(self, *user_ids: object) -> Erased:
        """Erase users from tables, events, bundles and the shared store; they stay out when the same sources are read again."""
        self._close()
        return erase_everywhere(self.workspace, self.settings, *map(str, user_ids))[0]
