"""Columns of impressions, beside ITEM_ID, USER_ID and VALUE of `features.names`: what was shown where, and what was done with it.

`impression_id`, `position`, `propensity`, `context` and `reward` are those of `eval.off_policy.log`; the action's name is UBI's.
"""

from __future__ import annotations

from typing import Final

IMPRESSION_ID: Final = "impression_id"  # of one list of a page
PAGE: Final = "page"  # home, product, basket and so on
PAGE_ROW: Final = "row"  # the list's name on its page
SESSION_ID: Final = "session_id"
TIME: Final = "time"  # seconds since the epoch
BUNDLE_ID: Final = "bundle_id"
POSITION: Final = "position"  # in the list, from 1
PROPENSITY: Final = "propensity"  # probability that the item was shown there
RULE: Final = "rule"  # of merchandising, that placed the item
CONTEXT: Final = "context"
REWARD: Final = "reward"
ACTION_NAME: Final = "action_name"
ARM: Final = "arm"
UNIT: Final = "unit"  # of an experiment: a user id or a session id
