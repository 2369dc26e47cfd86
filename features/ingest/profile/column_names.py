"""Names under which shops keep our columns: other spellings of our names, and the words of known exports and public data sets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from features.ingest.optional_tables import OPTIONAL
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.names import (
    ANSWER,
    ATTRIBUTES,
    AVAILABLE,
    BARCODE,
    BRAND,
    CAMPAIGN_ID,
    CATEGORY,
    CONSENT,
    COST,
    CREATED_AT,
    CURRENCY,
    DESCRIPTION,
    EVENT,
    EVENT_ID,
    HOLDOUT,
    ITEM_ID,
    LANGUAGE,
    LINK,
    MARGIN,
    OFFER,
    OPTED_OUT,
    ORDER_ID,
    PRICE,
    QUANTITY,
    QUERY,
    QUESTION,
    RANK,
    REDEEMED_AT,
    SENT_AT,
    STARS,
    STATUS,
    TAGS,
    TEXT,
    TIMESTAMP,
    TITLE,
    UNIT_PRICE,
    USER_ID,
    VALUE,
)
from features.text.closest import closest, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from features.ingest.optional_tables import Table

LIKE = 84  # similarity of a mistyped name, of 100
_SHORTEST = 5  # letters of a name of which a misspelling is recognised

_ITEM_IDS = (
    "product_id product sku variant_sku asin parent_asin article_id article_number stockcode stock_code product_code item_code item itemid "
    "goods_id offer_id movie_id movieid book_id track_id song_id game_id app_id isbn ean gtin upc style_id material product_sku "
    "artikelnummer artikelnr artikel référence reference réf codice código"
)
_USER_IDS = (
    "customer_id customer customer_no customer_number cust_id client_id client visitor_id visitorid visitor member member_id "
    "buyer_id buyer household_id household_key reviewer_id reviewerid user userid uid account_id account shopper_id profile_id "
    "user_pseudo_id fullvisitorid customer_unique_id customer_email email e_mail session_id user_session "
    "kunde kundennummer kundennr cliente"
)
_TIMES = (
    "time date datetime event_time event_timestamp event_date order_date purchase_date invoice_date invoicedate t_dat unixreviewtime "
    "transaction_timestamp transaction_date order_purchase_timestamp purchased_at ordered_at bought_at created_at created occurred_at "
    "timestamp_ms ts day paid_at datum bestelldatum kaufdatum rechnungsdatum fecha"
)
_EVENT_NAMES = "event_type event_name action action_type type behavior behaviour behavior_type interaction interaction_type activity kind"
_SYNONYMS: dict[Table, dict[str, str]] = {
    "items": {
        ITEM_ID: f"{_ITEM_IDS} id code handle",
        TITLE: "name product_name product_title item_name item_title prod_name label headline display_name "
        "bezeichnung artikelbezeichnung produktname titel titre libellé désignation",
        DESCRIPTION: "body_html body long_description short_description detail_desc product_description details summary overview",
        BRAND: "manufacturer vendor maker brand_name product_brand store publisher label designer author artist",
        CATEGORY: "category_code category_name categories department product_type product_group_name product_category "
        "google_product_category genre genres main_category product_group type section "
        "collection kategorie warengruppe catégorie categoría categoria",
        PRICE: "price_usd price_eur sale_price regular_price list_price unit_price retail_price variant_price current_price actual_price "
        "discounted_price selling_price final_price msrp amount cost "
        "preis verkaufspreis prix precio prezzo",
        AVAILABLE: "in_stock instock stock stock_quantity stock_status stock_level availability is_available is_in_stock inventory "
        "inventory_quantity variant_inventory_qty on_stock quantity qty active is_active status",
        CREATED_AT: "created launch_date release_date date_added created_on creation_date create_date published_at publish_date added_at "
        "date_created available_from first_seen introduced",
        MARGIN: "gross_margin unit_margin contribution_margin profit deckungsbeitrag marge margen",
        CURRENCY: "currency_code price_currency curr currency_id",
        ATTRIBUTES: "attribute specs spec specifications specification features feature properties property characteristics "
        "product_attributes eigenschaften merkmale caractéristiques características",
        BARCODE: "barcodes gtin gtin8 gtin12 gtin13 gtin14 ean ean13 upc upc_code isbn global_unique_id strichcode",
    },
    "interactions": {
        USER_ID: _USER_IDS,
        ITEM_ID: f"{_ITEM_IDS} lineitem_sku",
        TIMESTAMP: _TIMES,
        EVENT: _EVENT_NAMES,
        QUANTITY: "qty units pieces count lineitem_quantity order_quantity item_quantity num_items menge anzahl quantité cantidad quantità",
        VALUE: "amount total line_total total_price sales_value revenue subtotal sales turnover order_value paid paid_amount net_amount "
        "gross_amount betrag umsatz montant importe importo",
        UNIT_PRICE: "price price_usd price_eur item_price unitprice lineitem_price sale_price selling_price",
        EVENT_ID: "line_id order_item_id lineitem_id order_line_id",
        ORDER_ID: "order_number order_no order invoice invoice_no invoiceno transaction_id transactionid basket_id receipt_id receipt",
        STATUS: "order_status financial_status state",
        STARS: "stars score overall rate review_score review_rating grade",
        CURRENCY: "currency_code price_currency curr",
    },
    "queries": {
        QUERY: "search_term search_terms searchterm search_query search search_text search_string search_phrase search_keyword keyword "
        "keywords q term terms text phrase query_text query_string user_query suchbegriff suchanfrage suchwort recherche búsqueda consulta",
        ITEM_ID: f"{_ITEM_IDS} clicked_item clicked_item_id clicked_product result_id document_id doc_id docid",
        TIMESTAMP: f"{_TIMES} searched_at search_time search_date clicked_at",
        EVENT: _EVENT_NAMES,
        RANK: "position pos place slot result_position search_rank search_position item_position list_position click_position ranking",
        USER_ID: _USER_IDS,
    },
    "reviews": {
        ITEM_ID: f"{_ITEM_IDS} product_handle handle clothing_id reviewed_item",
        TEXT: "review_text review review_body review_content review_comment review_comment_message reviews_text body content comment "
        "comments message feedback opinion customer_review verbatim bewertung bewertungstext rezension kommentar avis commentaire "
        "reseña opinión comentario recensione",
        STARS: "stars score overall rate review_score review_rating star_rating star grade marks sterne note étoiles puntuación valoración",
        TITLE: "summary headline subject heading review_title review_headline review_summary review_comment_title "
        "titel titre título titolo",
        TIMESTAMP: f"{_TIMES} review_date review_time reviewed_at review_creation_date submitted_at posted_at date_posted published_at",
        USER_ID: f"{_USER_IDS} author author_id reviewer reviewer_name nickname",
    },
    "help_pages": {
        QUESTION: "title heading headline q query topic subject frage titel überschrift titre pregunta domanda",
        ANSWER: "text body content a reply response solution antwort inhalt réponse respuesta risposta",
        TAGS: "tag keywords labels topics categories category schlagworte stichworte",
        LANGUAGE: "lang locale language_code sprache langue idioma lingua",
        LINK: "url uri href permalink page page_url address",
    },
    "customers": {
        USER_ID: _USER_IDS,
        CONSENT: "opt_in optin opted_in newsletter subscribed accepts_marketing marketing_consent accepts_email_marketing einwilligung",
        OPTED_OUT: "opt_out optout unsubscribed unsubscribe do_not_contact suppressed blocked abgemeldet désabonné",
        LANGUAGE: "lang locale language_code preferred_language sprache langue idioma lingua",
    },
    "campaigns": {
        CAMPAIGN_ID: "campaign campaign_name mailing mailing_id newsletter_id kampagne campagne campaña",
        USER_ID: f"{_USER_IDS} recipient recipient_id",
        SENT_AT: f"{_TIMES} sent send_time send_date sent_date sent_on delivered_at mailed_at start_date versendet_am",
        OFFER: "coupon coupon_code voucher voucher_code promotion promotion_code offer_id incentive treatment gutschein",
        ITEM_ID: _ITEM_IDS,
        CATEGORY: "category_code category_name department product_category kategorie catégorie categoría categoria",
        COST: "costs send_cost price_of_sending discount_cost kosten coût coste costo",
        REDEEMED_AT: "redeemed redemption_date redeemed_on used_at converted_at eingelöst_am",
        HOLDOUT: "hold_out control is_control control_group held_out kontrollgruppe",
    },
}
KNOWN: dict[Table, tuple[str, ...]] = {
    "items": ITEM_INPUTS,
    "interactions": LOG_INPUTS,
    **{name: one.inputs for name, one in OPTIONAL.items()},
}


_BY_NAME: dict[Table, dict[str, list[str]]] = {}
for _table, _columns in _SYNONYMS.items():
    _names = _BY_NAME.setdefault(_table, {})
    for _ours in KNOWN[_table]:
        for _name in (_ours, *_columns.get(_ours, "").split()):
            if _ours not in (_listed := _names.setdefault(plain_name(_name), [])):
                _listed.append(_ours)


def other_spellings(ours: Iterable[str], header: Sequence[str]) -> dict[str, str]:
    """Return canonical name -> name in the header that differs only in case, spaces and signs.

    A canonical name that the header has as it is needs none; of two such names neither is taken, because either may be meant.
    """
    spelled: dict[str, list[str]] = {}
    for name in header:
        spelled.setdefault(plain_name(name), []).append(name)
    found = {name: spelled.get(plain_name(name), []) for name in ours if name not in header}
    return {name: theirs[0] for name, theirs in found.items() if len(theirs) == 1}


def candidates(name: str, table: Table) -> list[str]:
    """Return the canonical columns that a name may stand for, the likeliest first."""
    key, known = plain_name(name), _BY_NAME[table]
    found = list(known.get(key, ()))
    if not found and len(key) >= _SHORTEST:
        close = closest(key, [one for one in known if len(one) >= _SHORTEST], LIKE)
        found += known[close] if close is not None else []
    if not found:
        words = [part for part in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name) if part]
        found += [ours for part in (*words[-1:], *words[:1]) if len(words) > 1 for ours in known.get(plain_name(part), ())]
    return list(dict.fromkeys(found))
