"""The packaged tool: what a signed-in customer bought, from the log. It shows how a tool is made; a shop's own knows parcels."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.data.interactions import LABEL_EVENTS
from features.names import TITLE
from recsys.dialogue.examples import packaged
from recsys.dialogue.tools import Slot, ToolError, installed_tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.settings.apps.assistant import AssistantConfig

_log = logging.getLogger(__name__)
MOST_TITLES = 5
_EXAMPLES = (
    *("what did I buy last time", "show me my last order", "my order history", "what was in my order of 3 May", "when did I last order"),
    *("what have I ordered recently", "list my latest purchase", "which products did I order on this day", "what did I buy on"),
    *(
        "was habe ich zuletzt gekauft",
        "zeig mir meine letzte Bestellung",
        "was war in meiner Bestellung vom 3. Mai",
        "was war in meinem Einkauf vom",
    ),
    *("qu'est-ce que j'ai acheté la dernière fois", "montrez-moi ma dernière commande", "qu'est-ce que j'ai acheté le"),
    *("qué compré la última vez", "muéstrame mi último pedido", "qué compré el"),
    *("我上次买了什么", "我的上一个订单", "我买了什么"),
)
_TEXTS = {
    "en": "Your order of {date}: {count} products ({titles}).",
    "de": "Ihre Bestellung vom {date}: {count} Artikel ({titles}).",
    "fr": "Votre commande du {date} : {count} articles ({titles}).",
    "es": "Su pedido del {date}: {count} artículos ({titles}).",
    "zh": "您在 {date} 的订单：{count} 件商品（{titles}）。",
}
_FOUND = {
    "type": "object",
    "properties": {
        "found": {"type": "boolean"},
        "date": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "titles": {"type": "string"},
    },
    "required": ["found"],
    "additionalProperties": False,
}


class OrderTool:
    """Finds the last order of a customer, or that of a day. Rows of one moment are one order: the log has no order numbers."""

    name = "order_contents"
    examples = (*_EXAMPLES, *packaged()["order_contents"])
    slots = (Slot("date", "date", required=False),)
    needs_user = True
    result = _FOUND
    texts = _TEXTS

    def __init__(self, log: Interactions, catalog: Catalog) -> None:
        self._log, self._catalog = log, catalog

    def call(self, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Return the order of the day that is asked for, or the last one.

        Raises
        ------
        ToolError
            The times of the log only give an order.
        """
        log, catalog = self._log, self._catalog
        times = log.calendar if log.ordinal else log.time
        if times is None:
            raise ToolError("the log has no dates: the tool of orders cannot say when something was bought")
        row = int(log.user_rows([user or ""])[0])
        bought = np.flatnonzero((log.user == row) & np.isin(log.event, LABEL_EVENTS)) if row >= 0 else np.zeros(0, dtype=np.int64)
        if "date" in slots:
            day = datetime.combine(date.fromisoformat(slots["date"]), datetime.min.time(), UTC).timestamp()
            bought = bought[(times[bought] >= day) & (times[bought] < day + 86_400)]
        if not len(bought):
            return {"found": False}
        last = bought[times[bought] == times[bought].max()]
        titles = [catalog.frame[TITLE][int(item)] for item in log.item[last]]
        more = f", +{len(titles) - MOST_TITLES}" if len(titles) > MOST_TITLES else ""
        return {
            "found": True,
            "date": datetime.fromtimestamp(int(times[last[0]]), UTC).date().isoformat(),
            "count": len(titles),
            "titles": "; ".join(titles[:MOST_TITLES]) + more,
        }


def flow_examples(config: AssistantConfig) -> dict[str, Sequence[str]]:
    """Return how customers ask for each tool: the packaged one, those of packages, and the hooks of the configuration."""
    others = (*installed_tools(_log.error), *config.tools)
    return {OrderTool.name: OrderTool.examples} | {tool.name: tool.examples for tool in others}
