"""Tells questions about allergens, of which customers' reviews are no evidence."""

from __future__ import annotations

import re

from retrieval.lexical.analyzer import fold

# Parts of folded words in English, German, French and Spanish, and words of Chinese: the allergens that European law has named on food
# (Regulation 1169/2011, annex II), and what is said of those who cannot bear them.
_ANYWHERE = (  # within a compound, too: "Milcheiweißallergie", "Vollmilchmandel"
    "allerg alerg intoleran unvertrag gluten zoliak lactos laktos mandel sesam soja pistazi krebstier weichtier "
    "过敏 麸质 坚果 花生 乳糖 大豆 芝麻 杏仁 核桃 腰果"
)
_BEGINNINGS = (
    "coeliac celiac coeliaqu celiaqu peanut cacahuet arachid hazelnut noisett avellan walnut almond amand almendra "
    "cashew pecan pistach macadamia soy lupin altramu shellfish crustac mollus sulfit sulphit celery selleri celeri"
)
_NUTS = "nut nuts noix nuez nueces"  # whole words: a nutcracker and a nutmeg are none
# "Nussfrei" and "Haselnüsse", but no "Genuss", "Bonussystem", "Minussaldo", "Muskatnuss" and "Nussknacker"
_GERMAN_NUTS = r"(?<!ge)(?<!bo)(?<!mi)(?<!muskat)nue?ss(?!knack)"
# Food that is asked for in other ways, too: "how many eggs does it hold?"
_FOOD = "milk lait leche dairy egg eggs ei eier oeuf oeufs huevo huevos wheat ble trigo fish poisson pescado mustard senf moutarde mostaza"
_GERMAN_FOOD = "milch weizen fisch huhnerei eifrei"  # within a compound, too: "Vollmilch", "Weizenmehl", "Thunfisch"
_CONTAINS = "contain enthalt beinhalt contien contenir ingredient zutat ingrediente free frei sans sin without ohne traces spuren trazas"


def _any_of(parts: str) -> str:
    return f"(?:{'|'.join(parts.split())})"


_STEMS = re.compile(rf"{_any_of(_ANYWHERE)}|\b{_any_of(_BEGINNINGS)}|\b{_any_of(_NUTS)}\b|{_GERMAN_NUTS}")
_EATEN = re.compile(rf"\b{_any_of(_FOOD)}\b|{_any_of(_GERMAN_FOOD)}")
_HELD = re.compile(rf"\b{_any_of(_CONTAINS)}|frei\b")


def asks_for_allergens(question: str) -> bool:
    """Whether a question is about what some people must not eat or touch."""
    text = fold(question)
    return bool(_STEMS.search(text) or (_EATEN.search(text) and _HELD.search(text)))
