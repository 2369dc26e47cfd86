# %% [markdown]
# # 3. Is B better than A, for whom, and would an online test find it?
#
# `recsys simulate` replays days of the log. Each arm sees only the past of a day, refreshes on its schedule, and
# answers the users of the day. Its lists are compared with what they then bought. Three questions of a real shop:
#
# 1. Ours against popular items: is a recommender worth its cost?
# 2. With against without the cross-encoder: is the most expensive stage worth its cost?
# 3. A daily against a weekly refresh: what does fresh data bring?
#
# To stay within minutes, five days are replayed for at most 800 users, drawn at random. Leave both options out for all
# days and users.

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


def summary(result):
    return Markdown("\n".join(f"- {line}" for line in lines(result)))


# %% [markdown]
# ## Popular against ours

# %%
daily = arm("daily")
ours = compare(arm("popular", system="popular"), daily)
summary(ours)

# %% [markdown]
# Each line has three intervals. *Same users*: both arms answer every user, which only a simulation can do; it shows
# which arm is better. *Own users alone*: what an online test of this length would have measured. *With CUPED*: the same
# test, adjusted for what was known of the users before it. A difference on the same users but not on own users is real,
# and an online test would miss it. An interval of width zero is not certainty: it means that no user of that arm had a
# hit.

# %% alt="Intervals: difference of ours and popular by measure, paired and unpaired"
drawings(ours)["differences"]

# %% [markdown]
# The second question is for whom. Look at *new*, the items that the user had never bought. A recommender of habits wins
# elsewhere and may lose there, where a shop hopes to sell more.

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
# Does the gap stay the same from day to day? A closing gap means that the model ages, or that the first day was
# unusual.

# %% alt="Lines: NDCG@10 of both arms day by day"
drawings(ours)["daily"]

# %% [markdown]
# The always-valid interval may be checked every day, and the test may stop when it excludes 0. It is wider than the
# others, because it allows for all checks and counts only each user's first visit.

# %% alt="Line with its always-valid interval: the difference as users arrive"
drawings(ours).get("looks")

# %% [markdown]
# ## What an online test of this shop can detect
#
# How many users does a lift need? The table uses the variance measured above and 80% power at 5%. If a month's test has
# fewer users than the row of the lift that you expect, do not run it; a simulation on the same users is more sensitive.
# Days follow from the rate of visits of the sampled users; with all users, the test takes fewer days.

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
# Both arms refresh once, on the first of the five days, and differ only in the last stage. Read the first line before
# the figures: a cross-encoder that gained nothing in training is not used in answers, and then there is nothing to
# compare.

# %%
weekly = arm("weekly", refresh_days=7)
crossed = compare(arm("without", refresh_days=7, cross_encoder=False), weekly)
summary(crossed)

# %% [markdown]
# ## Weekly against daily refresh
#
# The smaller a difference, the more the choice of users matters. On the same users, both arms show nearly the same
# items, so a small difference is visible. On own users, users differ far more than the arms do.

# %%
fresh = compare(weekly, daily)
summary(fresh)

# %% alt="Intervals: difference of daily and weekly refresh by measure, paired and unpaired"
drawings(fresh)["differences"]

# %% alt="Lines: NDCG@10 of daily and weekly refresh day by day"
drawings(fresh)["daily"]

# %% [markdown]
# ## The three decisions
#
# Better: the sign on the same users. For whom: the segments whose interval excludes 0. Online: whether a test with
# these users would detect it in 80% of cases, and how many users it needs.

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
# No user saw these lists. Users bought what was shown to them then, so the simulation favours an arm that repeats
# habits. docs/simulate.md lists further limits; notebook 4 shows what a log with propensities adds.
