"""Tells questions about allergens, of which customers' reviews are no evidence."""

from __future__ import annotations

import re

from retrieval.lexical.analyzer import fold

# Beginnings of folded words in English, German, French and Spanish, and words of Chinese: the allergens that European law has named on
# food (Regulation 1169/2011, annex II), and what is said of those who cannot bear them.
_ALWAYS = (
    "allerg alerg intoleran unvertrag gluten coeliac celiac zoliak coeliaqu celiaqu lactos laktos peanut erdnuss erdnusse cacahuet arachid "
    "hazelnut haselnuss haselnusse noisett avellan walnut walnuss walnusse almond mandel amand almendra cashew pistach pistazi macadamia "
    "sesam soy soja lupin altramu shellfish crustac krebstier mollus weichtier sulfit sulphit celery selleri celeri"
)
_NUTS = "nut nuts nuss nusse noix nuez nueces"  # whole words: a nutcracker and a nutmeg are none
_CHINESE = "过敏 麸质 坚果 花生 乳糖 大豆 芝麻 杏仁 核桃 腰果"
# Food that is asked for in other ways, too: "how many eggs does it hold?"
_FOOD = (
    "milk milch lait leche dairy egg eggs ei eier oeuf oeufs huevo huevos wheat weizen ble trigo fish fisch poisson pescado "
    "mustard senf moutarde mostaza"
)
_CONTAINS = "contain enthalt beinhalt contien contenir ingredient zutat ingrediente free frei sans sin without ohne traces spuren trazas"
_STEMS = re.compile(rf"\b(?:{'|'.join(_ALWAYS.split())})|\b(?:{'|'.join(_NUTS.split())})\b|{'|'.join(_CHINESE.split())}")
_EATEN = re.compile(rf"\b(?:{'|'.join(_FOOD.split())})\b")
_HELD = re.compile(rf"\b(?:{'|'.join(_CONTAINS.split())})")


def asks_for_allergens(question: str) -> bool:
    """Whether a question is about what some people must not eat or touch."""
    text = fold(question)
    return bool(_STEMS.search(text) or (_EATEN.search(text) and _HELD.search(text)))
