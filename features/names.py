"""Names of columns, event kinds and candidate features: this module is the only place where they are spelled.

Polars expressions and JSON examples may repeat a column's name where a constant would make them harder to read.
"""

from __future__ import annotations

from typing import Final, Literal

# Columns of the catalogue. Their types are in `features.data.catalog.ITEM_COLUMNS`.
ITEM_ID: Final = "item_id"
TITLE: Final = "title"
DESCRIPTION: Final = "description"
BRAND: Final = "brand"
CATEGORY: Final = "category"
PRICE: Final = "price"
AVAILABLE: Final = "available"
CREATED_AT: Final = "created_at"
GROUP_ID: Final = "group_id"  # of the product whose variant (size, colour) the item is
ATTRIBUTES: Final = "attributes"  # "colour: red; size: 40"
BARCODE: Final = "barcode"  # GTIN, EAN or UPC; several with | between them
MARGIN: Final = "margin"  # of one piece, money
STOCK: Final = "stock"  # pieces

# Columns of the log, beside ITEM_ID. Their types are in `features.data.interactions.INTERACTION_COLUMNS`.
USER_ID: Final = "user_id"
TIMESTAMP: Final = "timestamp"
EVENT: Final = "event"
QUANTITY: Final = "quantity"
VALUE: Final = "value"
EVENT_ID: Final = "event_id"

# Columns of the search log, beside TIMESTAMP, ITEM_ID, EVENT and USER_ID. Their types are in `features.data.queries.QUERY_COLUMNS`.
QUERY: Final = "query"
RANK: Final = "rank"  # place of the item in the list that the query showed, from 1

# Columns of reviews, beside ITEM_ID, USER_ID, TIMESTAMP, TITLE and STARS. Their types are in `features.data.reviews.REVIEW_COLUMNS`.
TEXT: Final = "text"
ROW: Final = "row"  # of the shop's file

# Columns of help pages, beside ROW. Their types are in `features.data.help_pages.HELP_COLUMNS`.
QUESTION: Final = "question"
ANSWER: Final = "answer"
TAGS: Final = "tags"  # words that customers look for, "refund, money back"
LANGUAGE: Final = "language"  # ISO 639-1, such as "en"
LINK: Final = "link"

# Columns of customers, beside USER_ID, LANGUAGE and ATTRIBUTES. Their types are in `features.data.customers.CUSTOMER_COLUMNS`.
CONSENT: Final = "consent"  # to be written to
OPTED_OUT: Final = "opted_out"

# Columns of campaigns, beside USER_ID, ITEM_ID and CATEGORY. Their types are in `features.data.campaigns.CAMPAIGN_COLUMNS`.
CAMPAIGN_ID: Final = "campaign_id"
SENT_AT: Final = "sent_at"
OFFER: Final = "offer"
COST: Final = "cost"  # of sending it, and of the offer where it was redeemed
REDEEMED_AT: Final = "redeemed_at"
HOLDOUT: Final = "holdout"  # chosen by chance and not written to

# Columns that are read and not stored: they say what other columns mean.
UNIT_PRICE: Final = "unit_price"  # of one piece: value = quantity * unit_price
CURRENCY: Final = "currency"  # of a price or a value
ORDER_ID: Final = "order_id"
STATUS: Final = "status"  # of an order: paid, cancelled, refunded
STARS: Final = "rating"  # stored with reviews
GROUP_TITLE: Final = "group_title"  # of the product whose variant the item is

# Event kinds. A log stores each event as its index in EVENTS.
EventKind = Literal["purchase", "cart", "view", "rating", "dislike"]
PURCHASE: Final = "purchase"
CART: Final = "cart"
VIEW: Final = "view"
RATING: Final = "rating"
DISLIKE: Final = "dislike"  # negative feedback, such as a thumb down
# What histories hold; user encoders have an embedding of each. A dislike is no evidence of interest.
POSITIVE_EVENTS: tuple[EventKind, ...] = (PURCHASE, CART, VIEW, RATING)
EVENTS: tuple[EventKind, ...] = (*POSITIVE_EVENTS, DISLIKE)

# Event kinds of the search log: what became of an item in the list of a query. `Queries` has each event as its index here.
SearchEventKind = Literal["shown", "click", "cart", "purchase"]
SHOWN: Final = "shown"
CLICK: Final = "click"
SEARCH_EVENTS: tuple[SearchEventKind, ...] = (SHOWN, CLICK, CART, PURCHASE)

# What an experiment compares: how often a unit did so, or what it paid.
ActionMetric = Literal["click", "cart", "purchase", "revenue"]

# Columns of reviews that were read for their sentiment, and of what they mention.
REVIEW: Final = "review"  # index of the review
LEFT_OUT: Final = "left_out"  # why a review does not count; null for one that does
ASPECT: Final = "aspect"
SENTENCE: Final = "sentence"
NEGATIVE: Final = "negative"
NEUTRAL: Final = "neutral"
POSITIVE: Final = "positive"
SENTIMENTS: tuple[str, ...] = (NEGATIVE, NEUTRAL, POSITIVE)
SENTIMENT: Final = "sentiment"  # one of SENTIMENTS; null where a text is not read

# Reasons why a review is left out of all figures.
COPIED: Final = "the text is a copy of an earlier review"
NEWER_OF_SAME: Final = "the same author has a newer review of the item"
MANY_BY_ONE: Final = "one author wrote very many reviews on that day"
FLOOD: Final = "part of a flood of reviews by authors who bought nothing"

# Candidate features from retrieval: the score of each source.
EASE_SCORE: Final = "ease"
EASE_TREND_SCORE: Final = "ease_trend"
REVIEW_EASE_SCORE: Final = "review_ease"  # EASE beside the words of reviews; only in shops that have some
ITEM_KNN_SCORE: Final = "item_knn"
ALS_SCORE: Final = "als"
MARKOV_SCORE: Final = "markov"
NEXT_ITEM_SCORE: Final = "next_item"
WORDS_LAST: Final = "words_last"  # title of the item and of those bought last
WORDS_SIMILARITY: Final = "words_similarity"  # the same, summed over several of the last items
WORDS_KNN: Final = "words_knn"  # by words and by buyers
TOWER_SCORE: Final = "tower"
TOWER_RANK: Final = "tower_rank"  # from 0, among the candidates of the two towers
ARRIVAL_SCORE: Final = "arrival"  # items added recently that nobody has bought
UNSOLD_SCORE: Final = "unsold"  # all items that nobody has bought
COMPLEMENT_SCORE: Final = "complement"  # what the items of a basket add to the chance that this one is in it
ALTERNATIVE_SCORE: Final = "alternative"  # cosine of the texts times nearness of the prices
DUE_CHANCE: Final = "due_chance"  # that the user buys the item again within the next days
DUE_IN_DAYS: Final = "due_in_days"  # until the usual gap since the user's last purchase of it is over; below 0: overdue
NEXT_IN_DAYS: Final = "next_in_days"  # until the next purchase is expected, after the time that has already gone by
GROWTH: Final = "growth"  # buyers of the last days over those expected

# Features of a customer and a product that stands for several items: one that nobody has bought, or a category.
LIKE_TEXT: Final = "like_text"  # how near its text is to what the customer bought
LIKE_EASE: Final = "like_ease"
LIKE_KNN: Final = "like_knn"
LIKE_ALS: Final = "like_als"
LIKE_BOUGHT: Final = "like_bought"  # the customer's purchases of those items
LIKE_SELLING: Final = "like_selling"  # buyers of those items
LIKE_BUYERS: Final = "like_{}"  # statistics of those items, summed

# Candidate features from the ranker.
FUSED_SCORE: Final = "fused"  # reciprocal rank fusion over all sources
BASE_LOG_ODDS: Final = "blend"  # of the base booster
CROSS_ENCODER_LOGIT: Final = "cross_encoder"
LOG_ODDS: Final = "log_odds"  # base and residual booster together

# Statistics of an item, columns of `features.behavior.item_stats.ItemStats`. {} is a window in days.
BUYERS: Final = "buyers_{}"
BUYERS_7: Final = "buyers_7"
BUYERS_28: Final = "buyers_28"
BUYERS_91: Final = "buyers_91"
BUYERS_EVER: Final = "buyers_ever"
TREND: Final = "trend"
REPEAT_SHARE: Final = "repeat_share"
REPEAT_GAP: Final = "repeat_gap"
FIRST_SALE: Final = "first_sale"
PRICE_CHANGE: Final = "price_{}"
BEGINNERS: Final = "beginners"
SHARE_OF_TEXT: Final = "of_text"

# Behaviour features of an item: its statistics.
ITEM_STAT_PREFIX: Final = "item_"

# Behaviour features of a user and an item. {} is a half-life, in days or in trips.
OWN_PREFIX: Final = "own_"
OWN_DECAY: Final = "own_decay_{:.0f}"
OWN_COUNT: Final = "own_count"
OWN_LAST: Final = "own_last"
OWN_FIRST: Final = "own_first"
OWN_GAP: Final = "own_gap"
OWN_JITTER: Final = "own_jitter"
OWN_DUE: Final = "own_due"
OWN_DUE_SHOP: Final = "own_due_shop"
OWN_TRIPS: Final = "own_trips_{:.0f}"
OWN_TRIPS_AGO: Final = "own_trips_ago"
OWN_TRIPS_DUE: Final = "own_trips_due"
OWN_OF_TRIPS: Final = "own_of_trips"
PRICE_GAP: Final = "price_gap"

# Behaviour features of a user and a group of items. {} is CATEGORY, BRAND or TEXT.
GROUP_DECAY: Final = "{}_decay"
GROUP_OTHERS: Final = "{}_others"
GROUP_LAST: Final = "{}_last"
GROUP_COUNT: Final = "{}_count"
GROUP_SHARE: Final = "{}_share"

# Behaviour features of a user.
USER_TRIPS: Final = "user_trips"
USER_ITEMS: Final = "user_items"
USER_REPEATS: Final = "user_repeats"
USER_LAST: Final = "user_last"
USER_TRIP_GAP: Final = "user_trip_gap"
USER_DECAY: Final = "user_decay"

# Features of a customer, one row each, columns of `features.behavior.user.UserFeatures`. {} is a window or a half-life in days.
PURCHASE_DAYS: Final = "purchase_days"
PURCHASE_DAYS_IN: Final = "purchase_days_{}"
PURCHASE_DAYS_DECAY: Final = "purchase_days_decay_{}"
PURCHASE_DAYS_TREND: Final = "purchase_days_trend"
SPEND: Final = "spend"
SPEND_IN: Final = "spend_{}"
SPEND_DECAY: Final = "spend_decay_{}"
SPEND_TREND: Final = "spend_trend"
SPEND_PER_DAY: Final = "spend_per_day"
PURCHASE_RATE: Final = "purchase_rate"  # purchase days a day since the first one
SPEND_RATE: Final = "spend_rate"
SPEND_DEVIATION: Final = "spend_deviation"
SPEND_LARGEST: Final = "spend_largest"
RECENCY: Final = "recency"
TENURE: Final = "tenure"
GAP_MEAN: Final = "gap_mean"  # between purchase days
GAP_MEDIAN: Final = "gap_median"
GAP_DEVIATION: Final = "gap_deviation"
GAP_LAST: Final = "gap_last"
OVERDUE: Final = "overdue"  # recency in mean gaps
USUAL_GAP: Final = "usual_gap"  # mean gap, mixed with the shop's typical one where there are few
LINES_PER_DAY: Final = "lines_per_day"
DISTINCT_ITEMS: Final = "distinct_items"
DISTINCT_ITEMS_91: Final = "distinct_items_91"
DISTINCT_CATEGORIES: Final = "distinct_categories"
WEEKDAY_AHEAD: Final = "weekday_ahead_{}"  # share of the purchase days on the weekday so many days ahead
INTEREST_28: Final = "interest_28"  # events of other kinds
LAST_EVENT: Final = "last_event"  # days since the last event of any kind

# Features of a customer and an offer before it is sent, columns of `features.behavior.campaigns.SendHistory.at`.
CONTACTS: Final = "contacts"
CONTACTS_28: Final = "contacts_28"
REDEMPTIONS: Final = "redemptions"
CONTACT_RECENCY: Final = "contact_recency"
REDEMPTION_RECENCY: Final = "redemption_recency"
REDEMPTION_RATE: Final = "redemption_rate"  # of the customer, towards the common rate where there are few contacts
OFFER_RATE: Final = "offer_rate"  # redeemed of what was sent under the offer's name
OFFER_CONTACTS: Final = "offer_contacts"  # of the customer, under the offer's name
OFFER_REDEMPTIONS: Final = "offer_redemptions"
TARGET_LINES: Final = "target_lines"  # purchases of the item or category that the offer is for
TARGET_SHARE: Final = "target_share"  # of all purchases of the customer
TARGET_RECENCY: Final = "target_recency"

# Features of a customer by prices paid, columns of `features.behavior.deals.deal_features`: shares of lines below the usual price.
DEAL_SHARE_SMALL: Final = "deal_share_small"
DEAL_SHARE: Final = "deal_share"
DEAL_SHARE_DEEP: Final = "deal_share_deep"
DEAL_SHARE_56: Final = "deal_share_56"
DEAL_DEPTH: Final = "deal_depth"  # mean logarithm of price / usual price
DEAL_LINES: Final = "deal_lines"

# What is expected of a customer, columns of `ranking.outcomes.customer_models.CustomerModels.predict`.
USER_ROW: Final = "user_row"
CHANCE_28: Final = "chance_28"
SPEND_90: Final = "spend_90"
SPEND_90_LOW: Final = "spend_90_low"
SPEND_90_HIGH: Final = "spend_90_high"
NEXT_PURCHASE: Final = "next_purchase"  # days from now
SEGMENT: Final = "segment"  # of `recsys.apps.customers.segments`

# Candidate features of a search.
RELEVANCE: Final = "relevance"  # BM25 and cosine mixed
LEXICAL_SCORE: Final = "lexical"  # BM25 as a share of the best text's
DENSE_SCORE: Final = "dense"  # cosine of query and text
RELEVANCE_SHARE: Final = "relevance_share"  # of the most relevant item's
PAIR_LOGIT: Final = "pair"  # of the cross-encoder over query and item
LOG_CLICKS: Final = "log_clicks"  # what the search log says of query and item
SALES: Final = "sales"  # logarithm of the buyers in the last 28 days
SALES_EVER: Final = "sales_ever"
ITEM_PRICE: Final = "log_price"
PREFERENCE: Final = "preference"  # log odds that the user buys the item, whatever they search for
