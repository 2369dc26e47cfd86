import pytest

from features.data.split import Split
from tests.eval.shops import at_day, log_of


@pytest.fixture
def paper_split():
    """Items 0-3 are known at the cut (day 10), 4 and 5 are not.

    u0 had 0, 0, 1 and buys 0 (repeat), 2 (new), 5 (cold); u1 had 0, 2 and buys 2; u2 had 3 and buys 4 (cold); u3 had 1
    and buys nothing; u4 comes after the cut. Distinct buyers before it: two of 0 and of 1, one of 2 and of 3.
    """
    before = [("u0", 0, 1), ("u0", 0, 2), ("u0", 1, 3), ("u1", 0, 1), ("u1", 2, 4), ("u2", 3, 5), ("u3", 1, 6)]
    after = [("u0", 0, 11), ("u0", 0, 12), ("u0", 2, 11), ("u0", 5, 11), ("u1", 2, 13), ("u2", 4, 12), ("u4", 0, 11)]
    return Split.by_time(log_of(before + after, 6), at_day(10))
