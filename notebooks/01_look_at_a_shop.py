# %% [markdown]
# # 1. Look at a shop
#
# Before any model: what is in the data, what is not, and what that allows. Every plot below answers a question whose answer changes what
# a recommender can do for this shop. The shop is `./workspace`, which `make demo` fills, or the folder that `RECSYS_WORKSPACE` names.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from features.data.shop_profile import ShopProfile
from features.ingest.table_store import load_quarantine, load_tables
from features.text.template import item_texts
from recsys.training.windows import Windows

items, events = load_tables(workspace.data)
catalog, log = workspace.load(settings.events.model_dump())
bought = events.filter(pl.col("event").fill_null("purchase").is_in(["purchase", "rating"])).with_columns(day=pl.col("timestamp").dt.date())

# %% [markdown]
# ## What came in
#
# Rows that break a rule are not dropped in silence: they stand in quarantine.csv beside the tables, with the reason. A reason that counts
# more than a few percent of a table is a question for whoever made the file, not a detail.

# %%
quarantine = load_quarantine(workspace.data)
quarantine.group_by("table", "reason").len("rows").sort("rows", descending=True)

# %%
first, last = bought["day"].min(), bought["day"].max()
pl.DataFrame(
    {
        "table": ["items", "interactions"],
        "kept": [len(items), len(events)],
        "quarantined": [(quarantine["table"] == name).sum() for name in ("items", "interactions")],
    }
)

# %% [markdown]
# ## Days
#
# Look for holes (a feed that failed), steps (a new branch, an import) and the week's rhythm. A model takes a hole for a season in which
# nobody wanted anything. The ends matter most: the last weeks are what it is judged on.

# %% alt="Line: purchases a day over the whole log"
daily = bought.group_by("day").len("purchases").sort("day").upsample("day", every="1d").with_columns(pl.col("purchases").fill_null(0))
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
axes.plot(daily["day"], daily["purchases"], linewidth=0.8)
axes.set(ylabel="purchases a day", ylim=(0, None))
closed = daily.filter(pl.col("purchases") == 0)["day"]
print(f"{first} to {last}: {len(daily)} days, {len(closed)} without a sale{': ' if len(closed) else ''}{', '.join(map(str, closed[:10]))}")

# %% [markdown]
# ## People
#
# Who has a handful of events can be told little; who has hundreds has habits. Is the median nearer to 5 or to 500?

# %%
a_user = bought.group_by("user_id").agg(purchases=pl.len(), items=pl.col("item_id").n_unique(), days=pl.col("day").n_unique())
a_user.select(pl.all().exclude("user_id")).describe(percentiles=(0.1, 0.5, 0.9)).filter(pl.col("statistic") != "null_count")

# %% [markdown]
# How often is a purchase one of something that this user has bought before? The curve climbs with time, because everything is new at
# first: read it at its right end. Where it stays under a few percent, what the user has must be left out of a list; where it is half, a
# list of the user's own favourites is the rival to beat, and "NDCG" alone rewards saying what everybody knows.

# %% alt="Line: share of each month's purchases that are repeats"
lines = bought.unique(["user_id", "day", "item_id"]).sort("day")
again = lines.with_columns(repeat=pl.int_range(pl.len()).over("user_id", "item_id") > 0)
monthly = (
    again.filter(pl.col("day") < last.replace(day=1)).group_by(pl.col("day").dt.truncate("1mo")).agg(pl.col("repeat").mean()).sort("day")
)
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
axes.plot(monthly["day"], 100 * monthly["repeat"], marker="o")
axes.set(ylabel="repeats, % of a month's purchases", ylim=(0, None))
print(f"repeats: {again['repeat'].mean():.1%} of all purchases, {monthly['repeat'][-1]:.1%} in the last whole month")

# %% [markdown]
# ## Items: the head and the long tail
#
# The left plot says how much of the sales the best sellers make. The right one says how many items have how few buyers: whatever has
# under about five cannot be learned from behaviour, and its text is all there is.

# %% alt="Two lines: share of sales that the best sellers make, and how many items have how few buyers"
buyers = bought.group_by("item_id").agg(buyers=pl.col("user_id").n_unique(), sales=pl.len()).sort("sales", descending=True)
share = buyers["sales"].cum_sum() / buyers["sales"].sum()
figure, (head, tail) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
head.plot(100 * np.arange(1, len(share) + 1) / len(share), 100 * share)
head.set(xlabel="best sellers, % of items sold", ylabel="% of all purchases", ylim=(0, 100))
tail.hist(buyers["buyers"], bins=np.geomspace(1, max(2, buyers["buyers"].max()), 20))
tail.set(xscale="log", xlabel="buyers of an item", ylabel="items")
few, never = (buyers["buyers"] < 5).sum(), len(items) - len(buyers)
top = share[len(share) // 100]
print(f"the best 1% of items make {top:.0%} of the sales; {few:,} items have under 5 buyers, {never:,} were never sold")

# %% [markdown]
# ## Baskets
#
# One thing at a time is a path (what comes after what), ten at a time are a set (what belongs together). The user tower reads
# accordingly.

# %% alt="Histogram: items bought at one time"
baskets = bought.group_by("user_id", "timestamp").agg(size=pl.col("item_id").n_unique())["size"]
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
axes.hist(baskets.clip(upper_bound=30), bins=np.arange(0.5, 31.5))
axes.set(xlabel="items bought at one time (30: or more)", ylabel="baskets")
print(f"{len(baskets):,} baskets, mean {baskets.mean():.1f}, median {baskets.median():.0f}, single items {(baskets == 1).mean():.0%}")

# %% [markdown]
# ## Texts
#
# The encoder sees titles, brands, categories and descriptions. How many items share one text? They are one thing to it. How many words
# are there to tell two items apart? Three words make a name, thirty a description.

# %% alt="Histogram: words of an item's text"
texts = item_texts(catalog)
words = texts.str.count_matches(r"\S+")
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
axes.hist(words.clip(upper_bound=40), bins=np.arange(0.5, 41.5))
axes.set(xlabel="words of an item's text (40: or more)", ylabel="items")
print(f"{len(texts):,} items, {texts.n_unique():,} distinct texts, median {words.median():.0f} words")

# %%
missing = catalog.frame.select(pl.all().is_null().mean().mul(100).round(1))
missing.transpose(include_header=True, header_name="column", column_names=["missing, %"])

# %% [markdown]
# ## What the recommender makes of it
#
# These are the facts from which `recsys train` chooses, and the windows it will fit its parts on. Repeats here count distinct items of a
# basket, as it does. Set `tower.user_encoder` or the `[retrieval]` section in recsys.toml if you know better.

# %%
shape = ShopProfile.of(log)
print(f"{shape.basket:.1f} items at one time: the user tower reads {'a sequence' if shape.sequence else 'a set'}")
print(f"{shape.repeats:.1%} repeats: what a user has {'may be shown again' if shape.buys_again else 'is left out'}")
print(f"times {'carry only the order' if log.ordered else 'are real'}")
for part, window in Windows.plan(log, log.end).to_dict().items():
    print(f"{part:12}{window}")
