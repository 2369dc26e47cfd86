"""The messages that there are, with the placeholders that each must and may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MessageKey:
    """What a template of one key may hold.

    Attributes
    ----------
    must : names of placeholders that each template of the key has.
    may : names of placeholders that stand in an optional part, in square brackets.
    """

    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """All placeholders."""
        return self.must | self.may


def _key(must: str = "", may: str = "") -> MessageKey:
    return MessageKey(frozenset(must.split()), frozenset(may.split()))


KEYS: dict[str, MessageKey] = {
    "greeting": _key(may="shop person"),
    "thanks": _key(),
    "sorry": _key(),
    "yes": _key(),
    "no": _key(),
    "help_answer": _key("quote", "link"),
    "no_answer": _key(),
    "clarify": _key("options"),
    "option": _key("name", "number"),
    "product_list": _key("products", "query"),
    "product_line": _key("name", "price stock reason number"),
    "stock_count": _key("count"),
    "stock_yes": _key(),
    "stock_no": _key(),
    "nothing_found": _key(may="query"),
    "filters_relaxed": _key("filters"),
    "comparison": _key("lines"),
    "comparison_line": _key("name value", "property"),
    "comparison_cheaper": _key("name difference"),
    "product_attribute": _key("name property value"),
    "product_description": _key("name quote"),
    "product_reviews": _key("name count quote", "total"),
    "reviews_praise": _key("name count quote", "total"),
    "reviews_complain": _key("name count quote", "total"),
    "shop_does_not_say": _key(may="name"),
    "order_status": _key("order status", "date"),
    "return_started": _key("order", "product date"),
    "ask_order_number": _key(),
    "ask_product": _key(),
    "ask_size": _key(may="name"),
    "ask_date": _key(),
    "ask_slot": _key("slot"),
    "slot_corrected": _key("slot value"),
    "tool_unavailable": _key(),
    "hand_over_unsure": _key(),
    "hand_over_human": _key(),
    "hand_over_angry": _key(),
    "hand_over_money": _key(),
    "hand_over_safety": _key(),
    "hand_over_failures": _key(),
    "goodbye": _key(),
    "what_else": _key(),
    "flow_cancelled": _key(),
    "sign_in": _key(),
    "still_handed_over": _key(),
    "handed_back": _key(),
    "not_understood": _key(),
    "left_out_words": _key("words"),
    "property_price": _key(),
    "property_stock": _key(),
    "property_brand": _key(),
    "property_category": _key(),
    "property_title": _key(),
    "tool_found_nothing": _key(),
}
# The fact whose number chooses the plural form.
PLURAL = "count"
