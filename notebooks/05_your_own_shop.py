# %% [markdown]
# # 5. Your own shop
#
# This notebook goes from two CSV files to recommendations and an evaluation in Python. The commands of the README do
# the same. The two files are a sample of the workspace's shop, as a web shop would export them; replace them by your
# files.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.reports.evaluation import best_baseline, lines, systems
from eval.reports.plots import reliability_plot, slices_plot
from features.ingest.source import Source
from features.ingest.table_store import load_tables
from recsys.offline.evaluate import evaluate, evaluation_cut
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.build import build_index
from recsys.training.find_or_train import train
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

# %% [markdown]
# ## Two files
#
# The sample has 300 users and the 2,000 best-selling products, so that training takes a minute or two. The columns have
# a shop's names, and two rows are broken.

# %%
folder = Path(tempfile.mkdtemp())
items, events = load_tables(workspace.data)
some = events["user_id"].unique().sort().sample(min(300, events["user_id"].n_unique()), seed=0)
best = events["item_id"].value_counts(sort=True).head(2000)["item_id"]
products = items.filter(pl.col("item_id").is_in(best.implode()))
orders = events.filter(pl.col("user_id").is_in(some.implode()), pl.col("item_id").is_in(products["item_id"].implode()))
broken = pl.DataFrame({"user_id": ["", "77"], "item_id": [products["item_id"][0], "no-such-item"], "timestamp": orders["timestamp"][:2]})
orders = pl.concat([orders, broken], how="diagonal").rename({"user_id": "customer", "item_id": "sku", "timestamp": "ordered_at"})
products.rename({"item_id": "sku", "title": "name"}).write_csv(folder / "products.csv")
orders.write_csv(folder / "orders.csv")
print(f"{len(products):,} products, {len(orders):,} order lines")

# %% [markdown]
# ## Read them in
#
# A mapping gives the file's name of each column. In the summary, read = kept + quarantined. Check the reasons before
# you go on.

# %%
shop = Workspace(folder / "my-shop")
source = Source(
    items=folder / "products.csv",
    interactions=folder / "orders.csv",
    items_columns={"item_id": "sku", "title": "name"},
    interactions_columns={"user_id": "customer", "item_id": "sku", "timestamp": "ordered_at"},
)
print(shop.ingest(source))

# %% [markdown]
# ## Train
#
# The model is trained until the day on which the evaluation begins, because it must not have seen the weeks of the
# evaluation. Once you trust it, train again on everything, without `until`. To save minutes, the text encoder is not
# tuned here, and the cross-encoder is trained on few users. For your shop, use `settings` unchanged.

# %%
catalog, log = shop.load()
cut = datetime.fromtimestamp(evaluation_cut(log), UTC).replace(tzinfo=None)
towers = settings.train.model_copy(update={"tuned_epochs": 0, "steps_per_epoch": min(20, settings.train.steps_per_epoch)})
settings = settings.model_copy(
    update={"train": towers, "cross_encoder": settings.cross_encoder.model_copy(update={"users": min(200, settings.cross_encoder.users)})}
)
summary = train(shop, settings, TrainOptions(until=cut))
print(summary.split(";")[0])

# %%
print(build_index(shop, settings).split(":")[1].strip())

# %% [markdown]
# ## Recommend
#
# The same call serves a known user, a visitor with a basket, and an unknown visitor. `None` is a visitor.

# %%
recommender = open_recommender(shop)


def shown(options, user=None):
    answer = next(iter(recommender.answer(options, [user])))
    rows = [
        {"title": item.title, "probability, %": item.probability and round(100 * item.probability, 1), "why": item.reason}
        for item in answer.items
    ]
    return pl.DataFrame(rows)


counts = np.diff(log.offsets)
user = str(log.user_ids[np.argsort(counts, kind="stable")[len(counts) // 2]])  # of median activity
shown(RecommendOptions(k=5), user)

# %% [markdown]
# Only items that this user has never bought, and diverse ones among the likely:

# %%
shown(RecommendOptions(k=5, new_only=True, diversity=0.3), user)

# %% [markdown]
# A visitor with the best seller in the basket:

# %%
seller = str(catalog.ids[np.bincount(log.item).argmax()])
shown(RecommendOptions(k=5, history=(seller,)))

# %% [markdown]
# ## Evaluate
#
# The evaluation compares the model with baselines on the last weeks. Check three things. Does ours beat the *best*
# baseline, and is 1 outside the interval of the ratio? How much of the NDCG comes from repeats (slice "repeat"), which
# a list of frequent items gets as well? How many users is "new" evaluated on?

# %%
quick = settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"tune": False})})
report = evaluate(shop, quick)
pl.DataFrame(
    [
        {"system": name, "NDCG@10": one.metrics["ndcg@10"].value}
        | {part: one.slices[part]["ndcg@10"].value for part in ("repeat", "new", "light", "heavy")}
        for name, one in systems(report).items()
    ]
).with_columns(pl.selectors.float().round(4)).sort("NDCG@10", descending=True)

# %% alt="Bars with intervals: NDCG@10 by kind of customer, ours beside the best rival"
rival, ratio = best_baseline(report)
print(f"ours over {rival.replace('_', ' ')}: {ratio.value:.2f} [{ratio.low:.2f} to {ratio.high:.2f}] on {report.users} users")
slices_plot({name: systems(report)[name].slices for name in ("ours", rival.replace("_", " "))})

# %% [markdown]
# Are the probabilities calibrated? Points on the diagonal mean that of ten items with probability 20% two were bought.
# With few users, expect scatter at the right end, which has few items.

# %% alt="Reliability: predicted probability against the share that was bought"
reliability_plot({"ours": report.reliability})

# %%
Markdown("\n".join(f"- {line}" for line in lines(report)))

# %% [markdown]
# ## What next
#
# Run notebook 1 on your data first, and put what it finds into recsys.toml. Then run `recsys train` on everything,
# `recsys build-index`, and `recsys refresh` as often as your files change. Run notebook 3 before you change anything in
# production.
