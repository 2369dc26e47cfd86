# %% [markdown]
# # 6. Who are the customers, and who of them drifts away?
#
# `recsys customers` answers five questions of a shop: who the customers are, whether they stay, what each of them is
# expected to do, who moves where, and whether these expectations are any good. This notebook asks them in Python. The
# bundle in the workspace has the answers, because `recsys build-index` stores them.
#
# A customer is who has bought something. All days are counted from the last day of the log.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.baselines.customers.bg_nbd import BgNbd
from eval.baselines.customers.summary import PurchaseSummary
from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs
from features.data.interactions import DAY
from features.errors import DataError
from features.progress import silent
from ranking.outcomes.examples import PastCustomers
from recsys.apps.customers.evaluate import evaluate_log
from recsys.shop import Shop

reader = Shop(workspace, settings).customers


def listed(lines):
    return Markdown("\n".join(f"- {line}" for line in lines) or "- none")


# %% [markdown]
# ## Recency, frequency, value
#
# Three numbers tell most of a customer: days since the last purchase, days with a purchase, and what was paid. A fourth
# makes the first one readable: the customer's usual gap. Ten days without a purchase are nothing for one customer and
# an alarm for another.

# %%
customers = reader.table
names = {"recency": "recency, days", "purchase_days_364": "days bought", "spend_364": "paid", "usual_gap": "usual gap, days"}
shown = customers.select(pl.col(name).alias(title) for name, title in names.items()).describe(percentiles=(0.1, 0.5, 0.9))
shown.filter(~pl.col("statistic").is_in(["count", "null_count", "std"])).with_columns(pl.selectors.float().round(1))

# %% [markdown]
# *Days bought* and *paid* are of the last 364 days. Compare the mean with the median of *paid*: the further apart they
# are, the more a few customers carry the shop.
#
# ## Segments are rules
#
# Every customer is in exactly one segment, by the first rule that holds. The thresholds are quantiles of this shop, so
# read them once: they are what your colleagues will ask about.

# %%
segments = reader.segments()
listed([*(f"**{one.segment}**: {one.rule}" for one in segments.segments), *(f"note: {note}" for note in segments.notes)])

# %%
pl.DataFrame(
    [
        {
            "segment": one.segment,
            "customers": one.customers,
            "of all, %": round(100 * one.share, 1),
            "of what is paid, %": round(100 * one.spend / sum(other.spend for other in segments.segments), 1),
            "buy in 28 days, %": one.chance_28 and round(100 * one.chance_28, 1),
            "spend in 90 days, each": one.spend_90 and round(one.spend_90 / one.customers, 2),
        }
        for one in segments.segments
    ]
)

# %% [markdown]
# Look at *drifting away* and *lost* beside their chance of buying. A segment describes the past, the chance is the
# forecast. If most of the "lost" are expected to buy again, they are only late.
#
# The plot has a dot for each customer. To the right are those who are late by their own rhythm, at the top those who
# bought often. The two lines are the thresholds of *drifting away* and *lost*.

# %% alt="Scatter: usual gaps since the last purchase against days bought, coloured by segment, with the two thresholds"
rules = reader.rules
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for (name,), group in customers.sort("segment").group_by("segment", maintain_order=True):
    axes.scatter(group["recency"] / group["usual_gap"] + 0.02, group["purchase_days_364"] + 0.5, s=6, alpha=0.6, label=name)
axes.set(xscale="log", yscale="log", xlabel="usual gaps since the last purchase", ylabel="days bought in 364")
legend = axes.legend(markerscale=3, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
for threshold in (rules.drift, rules.lost):
    axes.axvline(threshold, color="grey", linewidth=0.8)

# %% [markdown]
# ## Cohorts: do they stay?
#
# A row is a month of first purchases; a column is how many months later. The first row holds everybody who bought before
# the log began, so it is no cohort of new customers: compare the rows below it with each other. The last cell of each
# row is a month that may not be over. Does the shop keep a cohort after its first month, and is that getting worse from
# row to row?

# %% alt="Heat map: share of each cohort that bought in each month after the first purchase"
cohorts = reader.cohorts().cohorts
months = max(len(one.months) for one in cohorts)
bought = np.full((len(cohorts), months), np.nan)
for row, one in enumerate(cohorts):
    bought[row, : len(one.months)] = [100 * month.bought for month in one.months]
figure, axes = plt.subplots(figsize=(8, 0.8 + 0.28 * len(cohorts)), layout="constrained")
axes.imshow(bought, cmap="Blues", vmin=0, vmax=100, aspect="auto")
axes.set_yticks(range(len(cohorts)), [f"{one.cohort} ({one.customers:,})" for one in cohorts])
axes.set(xlabel="months since the first purchase; % of the cohort that bought", xticks=range(months))
for (row, column), value in np.ndenumerate(bought):
    if not np.isnan(value):
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 60 else "black")

# %% [markdown]
# ## One customer
#
# Whom would you call first? Of those who drift away, take the one with the largest expected spend; if nobody drifts away,
# the one with the largest of all. Then look at the chance of buying: if it is high, the customer is late by their own
# rhythm and will come all the same.

# %%
drifting = reader.of_segment("drifting away", 15)
chosen = drifting.customers or tuple(reader.rows(None))[:15]
one = reader.customer(chosen[0].user_id)
row = one.customer
unknown = "not known"
known = {
    "segment": row.segment,
    "days bought": f"{row.purchase_days:,}",
    "last purchase": f"{one.last_purchase}, {row.recency} days ago",
    "usual gap": f"{row.usual_gap} days",
    "paid in the last 28 days": f"{row.spend_28:,.2f}",
    "paid in the 28 days before": f"{row.spend_28_before:,.2f}",
    "chance of buying within 28 days": unknown if row.chance_28 is None else f"{row.chance_28:.1%}",
    "expected day of the next purchase": row.next_purchase or f"none within 90 days, or {unknown}",
    "expected spend in 90 days": unknown if row.spend_90 is None else f"{row.spend_90:,.2f}",
    "80% interval": unknown if row.spend_90 is None else f"{row.spend_90_low:,.2f} to {row.spend_90_high:,.2f}",
}
pl.DataFrame({"what": list(known), "customer": list(known.values())})

# %% [markdown]
# The taste is what this customer buys more than the others do; purchases count half after 91 days.

# %%
pl.DataFrame(
    [{"category": c.category, "of the purchases, %": round(100 * c.share, 1), "times average": c.times_average} for c in one.categories]
)

# %%
listed(
    [
        f"often bought: {'; '.join(f'{example.title} ({example.times:,} times)' for example in one.examples) or 'nothing'}",
        f"new in the last 28 days: {'; '.join(one.new_categories) or 'nothing'}",
        f"bought regularly, and no longer: {'; '.join(one.abandoned_categories) or 'nothing'}",
    ]
)

# %% [markdown]
# An expected spend without its interval invites a wrong call. The bars hold 80% of what such customers spent: a bar that
# begins at 0 says that nothing may come at all.

# %% alt="Bars: expected spend in 90 days with its 80% interval, of the customers to call first"
bars = [(c.user_id, c.spend_90, c.spend_90_low, c.spend_90_high) for c in chosen if c.spend_90 is not None]
figure, axes = plt.subplots(figsize=(8, 0.9 + 0.22 * len(chosen)), layout="constrained")
axes.set(xlabel="expected spend in 90 days" if bars else "nothing is predicted: too few customers or too short a log", ylabel="customer")
axes.set_yticks(range(len(bars)), [user for user, *_ in bars])
axes.invert_yaxis()
for place, (_, middle, low, high) in enumerate(bars):
    axes.plot([low, high], [place, place], color="tab:blue", linewidth=3, alpha=0.4)
    axes.plot(middle, place, "o", color="tab:blue")

# %% [markdown]
# ## Who moved
#
# Movements are counted from the refresh before to the last one; before the second refresh, over the last 28 days. Both
# ends are judged by today's rules, so nobody moves because a threshold did. Compare each way out with the way back.

# %%
moved = reader.movements()
pl.DataFrame(
    [
        {
            "from": m.source,
            "to": m.target,
            "customers": m.customers,
            "of the former, %": round(100 * m.share, 1),
            "paid in 364 days": m.spend,
        }
        for m in moved.movements[:10]
    ]
)

# %%
listed(
    [
        f"from {moved.since} to {moved.day}, {moved.stayed:,} customers stayed where they were",
        *(f"alert: {alert}" for alert in moved.alerts or ("none is open",)),
        *(f"note: {note}" for note in moved.notes),
    ]
)

# %% [markdown]
# ## How good are these expectations?
#
# `recsys evaluate customers` goes back to past moments a week apart, fits everything on what lay before each, and
# compares with what came. Beside ours are the field's own models: BG/NBD with Gamma-Gamma, a tuned logistic regression
# on recency, frequency and value, the spend of the last 90 days, and the mean gap. To stay within a minute, two moments
# are used; leave `cuts` as it is for eight.

# %%
_, log = workspace.load(settings.events)
quick = settings.model_copy(update={"customers": settings.customers.model_copy(update={"cuts": 2})})
try:
    report = evaluate_log(log, quick, 0, silent)
except DataError as error:
    report, missing = None, str(error)

# %%
titles = {
    "buys_auc": "buys: AUC",
    "buys_calibration_error": "calibration error",
    "spend_gini": "spend: Gini",
    "spend_total_ratio": "total / actual",
    "spend_coverage": "80% covers",
    "next_purchase_error": "next: days off",
}
systems = {
    "ours": "ours",
    "bg_nbd": "BG/NBD, Gamma-Gamma",
    "rfm_regression": "regression on RFM",
    "last_90_days": "as last 90 days",
    "mean_gap": "mean gap",
}
pl.DataFrame(
    [
        {"system": name}
        | {title: f"{found.value:.3f}" if (found := report.metrics[key].get(metric)) else "–" for metric, title in titles.items()}
        for key, name in systems.items()
    ]
) if report else print(missing)

# %% [markdown]
# Is that luck? All models judged the same customers, so a difference has an interval of its own; one that excludes 0 is
# not luck. Days off are compared by their ratio, which should be below 1.

# %%
listed(
    f"{titles[metric]}, ours against {systems[name]}: "
    f"{f'{d.value:.3f} times' if metric == 'next_purchase_error' else f'{d.value:+.3f}'} [{d.low:.3f}, {d.high:.3f}]"
    for name, found in (report.differences if report else {}).items()
    for metric, d in found.items()
    if metric in titles
)

# %% [markdown]
# ## Why nobody should rank by P(alive)
#
# BG/NBD is often used to list those who "churn", by its probability that a customer has not left for good. In that model
# a customer can leave only after a repeat purchase. Who has bought once is therefore alive with probability 1, whatever
# the time since then. The table takes the log as it was 28 days ago, and then looks who bought.

# %%
now = int(log.moments.max()) + 1 - 28 * DAY
summary, past = PurchaseSummary.of(log, now), PastCustomers(log, settings.customers.models.customers)
users, came = past.at(now).users, np.isfinite(past.outcome(now, 28)[1])
model = BgNbd.fit(summary)
by_user = {
    name: summary.of_users(users, values, 0)
    for name, values in {"repeats": summary.repeats, "alive": model.alive(summary), "expected": model.expected(summary, 28)}.items()
}
alive = pl.DataFrame(by_user | {"came": came})
groups = {"once": (0, 0), "on 2 to 5 days": (1, 4), "on 6 to 25": (5, 24), "on more": (25, np.inf)}
pl.DataFrame(
    [
        {
            "bought": name,
            "customers": len(group),
            "mean P(alive)": group["alive"].mean(),
            "bought in the 28 days, %": group.select(100 * pl.col("came").mean()).item(),
        }
        for name, ends in groups.items()
        for group in [alive.filter(pl.col("repeats").is_between(*ends))]
    ]
).with_columns(pl.col("mean P(alive)").round(3), pl.selectors.last().round(1))

# %%
boot = Bootstrap(settings.evaluate.resamples, settings.evaluate.seed)
aucs = {name: boot.auc(ScoredPairs(np.arange(len(came)), came, alive[name].to_numpy(), len(came))) for name in ("alive", "expected")}
if came.all() or not came.any():
    print("everybody bought again, or nobody: there is no order to judge")
else:
    for name, title in {"alive": "P(alive)", "expected": "expected purchases, the same model"}.items():
        print(f"who buys within 28 days, by {title}: AUC {aucs[name].value:.3f} [{aucs[name].low:.3f}, {aucs[name].high:.3f}]")

# %% [markdown]
# An AUC of .5 is a coin. The same fitted model orders customers well by the purchases that it expects, so the fault is
# in the question, not in the fit: ask who will buy, and not who is alive. *Buy in 28 days* above is that question, with a
# calibrated chance for an answer.
#
# ## What next
#
# Write to those for whom it pays: notebook 7 plans a campaign. docs/customers.md has the commands, and `recsys customers
# --segment "drifting away" --out drifting.csv` the list for your mailing.
