"""Rules that a merchandiser changed after a bundle was opened, in its answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.storage.file_stamp import file_stamp
from ranking.blocklist import Blocklist
from ranking.merchandising.conflicts import check
from ranking.merchandising.rules import MerchandisingRules

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender
    from recsys.workspace.workspace import Workspace


def with_rules_of(recommender: Recommender, workspace: Workspace) -> Recommender:
    """Return a recommender under the rules of the workspace's files.

    Raises
    ------
    ConfigError
        A file cannot be read, or rules contradict each other.
    """
    ruled = replace(recommender, blocklist=Blocklist.read(workspace.rules), rules=MerchandisingRules.read(workspace.merchandising))
    if not ruled.rules.empty:
        check(ruled.merchandising, ruled.blocklist)
    return ruled


@dataclass
class LiveRules:
    """The rule files of a workspace, for one opened recommender."""

    recommender: Recommender
    workspace: Workspace
    _seen: tuple[object, ...] = ()

    def catch_up(self) -> bool:
        """Read the files where they have changed. Returns whether they had; the old rules stay where the new ones are wrong.

        Raises
        ------
        ConfigError
            See `with_rules_of`; once for each change.
        """
        seen = tuple(file_stamp(path) for path in (self.workspace.rules, self.workspace.merchandising))
        if seen == self._seen:
            return False
        self._seen = seen
        ruled = with_rules_of(self.recommender, self.workspace)
        # In place, or all that is built over the recommender would be built again. A request that has begun may take either rules.
        parts = {"blocklist": ruled.blocklist, "_listed": ruled.blocklist.listed(ruled.snapshot.catalog)}
        vars(self.recommender).update(parts, _merchandising=ruled.merchandising, rules=ruled.rules)
        return True
