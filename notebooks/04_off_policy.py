# %% [markdown]
# # 4. What would another policy have earned?
#
# A simulation uses what people bought anyway. A log with the *propensity* of each shown item can answer what they would
# have done under another policy. This notebook first uses a synthetic shop with a known true value, to learn when the
# estimators can be trusted, and then a log of the workspace's shop.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.off_policy.estimators import FEWEST, effective_size, off_policy, weights
from eval.off_policy.log import read_log
from eval.off_policy.synthetic import World
from eval.reports.off_policy import NAMES, lines
from eval.simulation.config import ClickConfig, SimulateConfig
from features.errors import DataError
from recsys.offline.options import SimulateOptions
from recsys.offline.simulate import simulate

# %% [markdown]
# ## A shop with a known true value
#
# There are three kinds of users, 12 items, and lists of three. The logging policy draws its lists. The target policy,
# which is evaluated, prefers what each kind of user likes. The true value is computed exactly. Four estimators:
#
# - **IPS** weights each reward by how much more often the target would have shown the list. It is unbiased if the
#   propensities are correct.
# - **SNIPS** divides by the sum of the weights: a little bias, less variance.
# - **DM** predicts rewards with a model. It is correct if the model is.
# - **DR** corrects the model's predictions by weights. It is unbiased if either is correct.

# %%
world = World.make()
found = off_policy(world.draw(1000, np.random.default_rng(0), blind=False))


def table(result, truth=None):
    rows = [{"": "logged policy", **vars(result.logged)}] + [{"": NAMES[name], **vars(one)} for name, one in result.estimates.items()]
    held = [] if truth is None else [pl.col("low").le(truth).and_(pl.col("high").ge(truth)).alias("covers the true value")]
    return pl.DataFrame(rows).select("", pl.col("value", "low", "high").round(4), *held)


print(f"true value: the target earns {world.value:.4f} clicks a list; {lines(found)[0]}")
table(found, world.value)

# %% [markdown]
# The row of the logged policy need not cover the true value, because it is about another policy. What the log earned
# says nothing about the target.
#
# ## Two hundred logs
#
# Each box is an estimator's error over 200 logs of 1,000 lists, in three shops: the reward model knows the user's kind;
# it does not (blind); a click ends the reading of a list, while the estimators assume independent positions.

# %% alt="Three box plots: error of each estimator around 0, one panel a case"
cases = {"model knows": (World.make(), False), "model is blind": (World.make(), True), "cascade ignored": (World.make(cascade=True), True)}
figure, panels = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
rows = []
for axes, (name, (shop, blind)) in zip(panels, cases.items(), strict=True):
    rng = np.random.default_rng(1)
    runs = [off_policy(shop.draw(1000, rng, blind=blind)).estimates for _ in range(200)]
    errors = {key: [run[key].value - shop.value for run in runs] for key in runs[0]}
    axes.boxplot(list(errors.values()), tick_labels=list(errors), showfliers=False)
    axes.axhline(0, color="#999999", linewidth=1)
    axes.set(title=name, ylabel="estimate - truth" if not rows else "")
    rows.append({"case": name} | {key: f"{np.mean([run[key].low <= shop.value <= run[key].high for run in runs]):.1%}" for key in errors})

# %% [markdown]
# How often did the 95% interval cover the true value? The direct method's interval is narrow *and wrong* when its model
# is blind, and no figure of the log shows it; DR is unaffected. No estimator is correct under a wrong assumption about
# positions.

# %%
pl.DataFrame(rows)

# %% [markdown]
# ## How far from the log may a policy be?
#
# The more the target differs from the logging policy, the fewer of the log's lists are informative. The effective
# sample size says how many. With the same 400 lists, from a target near the logging policy to a deterministic one:


# %%
def estimated(log):
    size = effective_size(log, weights(log, "independent"))
    try:
        ips = off_policy(log).estimates["ips"]
    except DataError as error:
        return {"effective": round(size), "IPS": "refused", "half width": None, "said": str(error).split(":")[0]}
    return {"effective": round(size), "IPS": f"{ips.value:.3f}", "half width": round((ips.high - ips.low) / 2, 3), "said": ""}


far = [(sharp, World.make(sharp=sharp)) for sharp in (0, 1, 2, 4, 8)]
pl.DataFrame(
    [
        {"sharpness": sharp, "truth": round(shop.value, 3), **estimated(shop.draw(400, np.random.default_rng(2), blind=False))}
        for sharp, shop in far
    ]
)

# %% [markdown]
# Below an effective size of 100 the result is an error, on purpose: a number would be quoted without its interval. A
# longer log, more exploration, or a target nearer to the logging policy helps. Weaker assumptions about positions
# (`--slates cascade`, `joint`) cost effective lists as well:

# %%
log = world.draw(4000, np.random.default_rng(3), blind=False)
pl.DataFrame(
    [
        {"slates": slates, "effective of 4,000": round(effective_size(log, weights(log, slates)))}
        for slates in ("independent", "cascade", "joint")
    ]
)

# %% [markdown]
# ## The workspace's shop
#
# The shop has no propensities, so a click model writes a log: popular items in random order and items of the other arm,
# viewed and clicked with configured probabilities (`[simulate.clicks]`). Such a log says nothing about real customers.
# It has the shop's size, returning users and lists of ten, so it shows whether a log *like yours* could answer. The
# target shows each user's most frequent items.

# %%
folder = Path(tempfile.mkdtemp())


def clicks(explore):
    chosen = settings.model_copy(update={"simulate": SimulateConfig(same_arms_runs=0, clicks=ClickConfig(explore=explore))})
    log = folder / f"clicks-{explore}.csv"
    result = simulate(workspace, chosen, SimulateOptions("popular", "personal_frequency", days=14, click_log=log))
    return result.clicks, read_log(log, log.with_suffix(".target.csv"))


truth, log = clicks(0.9)
print(f"true values of the click model: {truth.a:.4f} clicks a list of popular, {truth.b:.4f} of the target; {truth.lists:,} lists")

# %%
try:
    found = off_policy(log)
    shown = table(found, truth.b)
except DataError as error:
    found, shown = None, Markdown(f"Refused: {error}.")
shown

# %%
Markdown("\n".join(f"- {line}" for line in (lines(found) if found else ["No answer, so nothing to trust."])))

# %% [markdown]
# Now with little exploration: nine lists in ten show popular items, as a careful shop would. Little exploration is the
# usual reason why off-policy evaluation fails, and it is decided when the log is written.

# %%
_, careful = clicks(0.1)
size = effective_size(careful, weights(careful, "independent"))
print(f"{size:.0f} effective lists of {careful.impressions:,}: {'too few, refused' if size < FEWEST else 'enough'}")

# %% [markdown]
# ## Before you log
#
# Decide which policies you will want to evaluate, draw among their items with logged propensities, and compute the
# effective size from the planned propensities, which needs no rewards. Then evaluate with DR; read the effective size
# first and the value last.
