# %% [markdown]
# # 3. Is B better than A, for whom, and would an online test find it?
#
# `recsys simulate` replays days of the log: each arm sees only what was known on the day, refreshes on its own schedule, answers
# everybody who came, and is judged by what was then bought. Three questions of a real shop:
#
# 1. Ours against the list of what is popular: is all this worth it?
# 2. With against without the cross-encoder: does the most expensive stage earn its place?
# 3. A refresh a day against one a week: what does fresh data bring?
#
# To stay within minutes, five days are replayed for at most 800 users, drawn at random. Leave both out for all days and everybody.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import polars as pl
from IPython.display import Markdown

from eval.reports.simulation import drawings, lines
from eval.simulation.visits import METRICS, SEGMENTS
from recsys.offline.ab_arm import AbArm
from recsys.offline.options import SimulateOptions
from recsys.offline.simulate import simulate
from recsys.settings.arm import ArmConfig


def arm(name, **how):
    return AbArm(name, settings.model_copy(update={"arm": ArmConfig(**how)}))


def compare(a, b):
    return simulate(workspace, settings, SimulateOptions(a, b, days=5, users=800))


def told(found):
    return Markdown("\n".join(f"- {line}" for line in lines(found)))


# %% [markdown]
# ## Popular against ours

# %%
daily = arm("daily")
ours = compare(arm("popular", system="popular"), daily)
told(ours)

# %% [markdown]
# Three intervals for each line, three questions. *Same users*: both arms answered everybody, which only a simulation can do; it says
# which arm is better. *Own users alone*: what an online test of this length would have seen. *With CUPED*: the same test, less what was
# known of the users before it. A difference that shows on the same users and not on own users is real, and an online test would miss it.
# An interval without width is no certainty: it says that nobody in that arm had a single hit.

# %% alt="Intervals: difference of ours and popular by measure, paired and unpaired"
drawings(ours)["differences"]

# %% [markdown]
# "For whom" is the lower half of the decision. Look at *new*: what the user had never bought. A recommender of habits wins everywhere
# else and may lose there, which is where a shop hopes to sell more.

# %%
pl.DataFrame(
    [
        {
            "segment": segment,
            "metric": metric,
            "users": same.users,
            "popular": same.a,
            "ours": same.b,
            "b over a, %": same.relative and 100 * same.relative,
        }
        for segment, metric in [("all", metric) for metric in METRICS] + [(segment, METRICS[0]) for segment in SEGMENTS[1:]]
        for same in [ours.row(segment, metric).paired]
    ]
).with_columns(pl.col("popular", "ours").round(4), pl.col("b over a, %").round(1))

# %% [markdown]
# Does the gap stay the same from day to day? One that closes tells of a model that ages, or of a first day that was odd.

# %% alt="Lines: NDCG@10 of both arms day by day"
drawings(ours)["daily"]

# %% [markdown]
# The always-valid interval may be looked at every day, and the test may stop when it leaves 0. It is wider than the others, because it
# pays for all the looks and because it counts each user's first visit alone.

# %% alt="Line with its always-valid interval: the difference as users arrive"
drawings(ours).get("looks")

# %% [markdown]
# ## What an online test of this shop can find at all
#
# Before you ask for a test: how many users does a lift need? The table takes the spread seen above, and 80% power at 5%. If a test of a
# month brings fewer users than the row that you hope for, do not run it; a simulation on the same users is the sharper tool. Days
# are at the rate at which these users came: where all of yours come, fewer.

# %%
online, base = ours.online, ours.row("all", METRICS[0]).paired
pl.DataFrame(
    [
        {"lift of NDCG@10, %": lift, "users an arm": round(needed := online.needed * (online.difference / (lift / 100 * base.b)) ** 2)}
        | {"with CUPED": round(needed * online.needed_cuped / online.needed), "days for both arms": round(2 * needed / online.users_a_day)}
        for lift in (1, 2, 5, 10, 20)
    ]
)

# %% [markdown]
# ## With against without the cross-encoder
#
# Both arms refresh once, on the first of the five days, and differ in nothing but the last stage. Before you read the figure read the
# first line: a cross-encoder that gained nothing in training is left out of answers altogether, and then there is nothing to compare.

# %%
weekly = arm("weekly", refresh_days=7)
crossed = compare(arm("without", refresh_days=7, cross_encoder=False), weekly)
told(crossed)

# %% [markdown]
# ## Weekly against daily refresh
#
# The smaller a difference, the more it matters whom you compare. On the same users the two arms show nearly the same items, so that even a
# small difference is seen; on own users, people differ far more than the arms do.

# %%
fresh = compare(weekly, daily)
told(fresh)

# %% alt="Intervals: difference of daily and weekly refresh by measure, paired and unpaired"
drawings(fresh)["differences"]

# %% alt="Lines: NDCG@10 of daily and weekly refresh day by day"
drawings(fresh)["daily"]

# %% [markdown]
# ## The three decisions
#
# Better: the sign on the same users. For whom: the segments whose interval leaves 0. Online: whether a test with these users would see it
# in 80% of cases, and how many it needs.

# %%
pl.DataFrame(
    [
        {
            "question": f"{found.a.name} against {found.b.name}",
            "lists alike, %": round(100 * found.alike),
            "better": {1: "b", -1: "a", 0: "open"}[found.row("all", METRICS[0]).paired.sign],
            "b better for": ", ".join(segment for segment in SEGMENTS[1:] if found.row(segment, METRICS[0]).paired.sign == 1) or "-",
            "power of a test, %": round(100 * found.online.power),
            "users an arm for 80%": found.online.needed and round(found.online.needed),
        }
        for found in (ours, crossed, fresh)
    ]
)

# %% [markdown]
# And what none of it says: nobody saw these lists. People bought under what was shown then, so an arm that repeats habits is flattered.
# docs/simulate.md has the rest under "What it cannot tell"; notebook 4 shows what a log with propensities adds.
