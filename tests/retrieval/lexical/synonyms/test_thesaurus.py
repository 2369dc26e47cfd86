"""A query is read in the words that the catalogue has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical.analyzer import Analyzer
from retrieval.lexical.synonyms.phrases import Phrases
from retrieval.lexical.synonyms.thesaurus import MOST_VARIANTS, Rewording, Thesaurus

if TYPE_CHECKING:
    from collections.abc import Callable

THESAURUS = Thesaurus.packaged()
ENGLISH = """and with for white red milk bread water food women men kids paper green of
    whole wheat bread; toilet paper; bath tissue; soft drink; soda; diapers; cat food; dog food; grain free; dog toy; hot dog buns;
    coffee; tea; hot chocolate; cocoa; pain relief; ibuprofen; oat milk; running shoes; black; sunscreen; baby wipes; laundry detergent;
    apples; gift boxes; potato chips; laptop bag; television; sweater; zucchini; gluten free; cheap; pan; pain;
    frozen pizza; school supplies; pencils;
    backpack; sugar free; cola; size; ice cream; die cast car; toy car"""
GERMAN = """und mit für weiß rot Milch Brot Wasser Damen Herren Kinder Papier grün Vollkornbrot Windeln Hundefutter Katzenfutter Klopapier
    Toilettenpapier Kaffee Tee Kakao Schmerzmittel Laufschuhe Sonnencreme Spielzeug Hund Pullover Fernseher Kartoffelchips"""
FRENCH = """et avec pour blanc rouge lait pain eau femme homme enfant papier vert couches nourriture chat croquettes chien pain complet
    papier toilette thé café chocolat chaud chaussures course crème solaire jouet pull téléviseur chips"""
SPANISH = """y con para blanco rojo leche pan agua mujer hombre niño papel verde pañales comida gatos perros papel higiénico té café pan
    integral zapatillas protector solar juguete jersey televisor"""
CHINESE = "白色 红色 牛奶 面包 男士 女士 儿童 食品 黑色 套装 家用 纯棉 纸尿裤 猫粮 狗粮 卫生纸 咖啡 茶 防晒霜 玩具 毛衣 电视"


def vocabulary(text: str, language: str = "english") -> Callable[[str], bool]:
    analyzer = Analyzer(language)
    terms = {analyzer.stem(word) for word in analyzer.index_words(text)}
    return lambda word: word in terms or analyzer.stem(word) in terms


CATALOGUES = {
    "en": vocabulary(ENGLISH),
    "de": vocabulary(GERMAN, "german"),
    "fr": vocabulary(FRENCH, "french"),
    "es": vocabulary(SPANISH, "spanish"),
    "zh": vocabulary(CHINESE),
}


def read(text: str, catalogue: str = "en") -> Rewording:
    return THESAURUS.read(text, CATALOGUES[catalogue])


def wordings(text: str, catalogue: str = "en") -> list[str]:
    return [variant.text for variant in read(text, catalogue).variants]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loo roll", "toilet paper"),
        ("Loo-Roll", "toilet paper"),
        ("toilet tissue", "bath tissue"),
        ("fizzy drinks", "soft drink"),
        ("pop", "soda"),
        ("nappies", "diaper"),
        ("jumper", "sweater"),
        ("courgettes", "zucchini"),
        ("telly", "television"),
        ("bread for hot dogs", "hot dog bun"),
        ("crisps", "potato chip"),
        ("suncream", "sunscreen"),
    ],
)
def test_british_american_and_trade_words(text: str, expected: str) -> None:
    assert expected in wordings(text)


@pytest.mark.parametrize(
    ("text", "expected", "language"),
    [
        ("comida para gatos sin cereales", "cat food grain free", "es"),
        ("zapatillas de correr negras", "running shoes black", "es"),
        ("papel higiénico", "toilet paper", "es"),
        ("pan integral", "whole wheat bread", "es"),
        ("Hundefutter ohne Getreide", "dog food grain free", "de"),
        ("Sonnencreme für Kinder", "sunscreen kid", "de"),
        ("Windeln", "diaper", "de"),
        ("lait d'avoine", "oat milk", "fr"),
        ("l’avoine: lait d’avoine", "oat milk", "fr"),
        ("pain complet", "whole wheat bread", "fr"),
        ("nourriture pour chat", "cat food", "fr"),
        ("便宜的猫粮", "cheap cat food", "zh"),
        ("我想买纸尿裤", "diaper", "zh"),
        ("无糖可乐", "sugar free soda", "zh"),
        ("黑色跑鞋", "black running shoes", "zh"),
    ],
)
def test_other_languages_in_an_english_catalogue(text: str, expected: str, language: str) -> None:
    reading = read(text)
    assert reading.language == language
    assert any(expected in variant.text for variant in reading.variants)


@pytest.mark.parametrize(
    ("text", "catalogue", "expected"),
    [
        ("diapers", "de", "Windel"),
        ("cat food", "de", "Katzenfutter"),
        ("telly", "de", "Fernseher"),
        ("pan integral", "de", "Vollkornbrot"),
        ("Klopapier", "fr", "papier toilette"),
        ("nappies", "fr", "couche"),
        ("whole wheat bread", "fr", "pain complet"),
        ("toilet paper", "es", "papel higiénico"),
        ("Windeln", "es", "pañal"),
        ("猫粮", "es", "comida para gatos"),
        ("cat food", "zh", "猫粮"),
        ("couches", "zh", "纸尿裤"),
        ("leche", "zh", "牛奶"),
    ],
)
def test_catalogues_in_other_languages(text: str, catalogue: str, expected: str) -> None:
    assert expected in wordings(text, catalogue)


@pytest.mark.parametrize(
    "text", ["something warm to drink", "hot drinks", "drink, warm", "etwas Warmes zu trinken", "boisson chaude", "热饮"]
)
def test_a_need_is_read_as_what_fulfils_it(text: str) -> None:
    variants = read(text).variants
    assert {"tea", "coffee", "hot chocolate"} <= {variant.text for variant in variants if variant.narrower}


@pytest.mark.parametrize(
    "text", ["something for a headache", "etwas gegen Kopfschmerzen", "mal de tête", "algo para el dolor de cabeza", "头痛"]
)
def test_a_complaint_is_read_as_its_remedy(text: str) -> None:
    assert "pain relief" in wordings(text)


@pytest.mark.parametrize(("text", "catalogue"), [("warm drink", "de"), ("heißes Getränk", "de"), ("boisson chaude", "de")])
def test_narrower_names_are_in_the_language_of_the_catalogue(text: str, catalogue: str) -> None:
    assert {"Tee", "Kaffee"} <= {variant.text for variant in read(text, catalogue).variants if variant.narrower}


@pytest.mark.parametrize(("text", "expected"), [("Hundespielzeug", "dog toy"), ("Katzenspielsachen", "toy"), ("Kinderschokolade", "kid")])
def test_a_compound_that_nobody_knows_is_two_words(text: str, expected: str) -> None:
    assert expected in read(text).variants[0].text


@pytest.mark.parametrize("text", ["gift", "pain", "pan", "die cast car", "once", "milk", "Gift boxes"])
def test_words_of_the_catalogue_are_not_taken_for_foreign_ones(text: str) -> None:
    found = wordings(text)
    assert found[:1] == ([text] if text != "once" else [])
    assert not {"bread", "poison"} & {word for wording in found for word in wording.split()}


@pytest.mark.parametrize(
    ("text", "wrong"), [("Was zum Kaffee", "juice"), ("té verde", "green"), ("maïs doux", "soft"), ("lima de uñas", "lime")]
)
def test_function_words_and_accents_do_not_mislead(text: str, wrong: str) -> None:
    found = THESAURUS.read(text, vocabulary(ENGLISH + " juice green tea soft corn lime nail file")).variants
    assert found
    assert all(wrong not in variant.text.split() or "tea" in variant.text for variant in found)


@pytest.mark.parametrize("text", ["coffee", "Bread for hot dogs", "1 gal milk", "12x33 cl soda"])
def test_the_query_as_typed_comes_first(text: str) -> None:
    reading = read(text)
    assert reading.variants[0] == (text, False)
    assert len(reading.variants) == len(set(reading.variants))


@pytest.mark.parametrize("text", ["Windeln Größe 4", "nappies size 4", "couches taille 4", "纸尿裤 4"])
def test_numbers_stay(text: str) -> None:
    reading = read(text)
    assert reading.variants[-1].text.split()[-1] == "4"
    assert reading.unread == ()


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("zyxomat", ("zyxomat",)),
        ("milk by Zyxomat", ("zyxomat",)),
        ("Zyxomat-Windeln", ("zyxomat",)),
        ("猫粮喵喵嗷", ("喵喵嗷",)),
        ("milk", ()),
    ],
)
def test_words_that_nobody_knows_are_named(text: str, unread: tuple[str, ...]) -> None:
    assert read(text).unread == unread


def test_brands_stay_in_a_translation() -> None:
    assert "zyxo sneaker" in THESAURUS.read("zyxo zapatillas", vocabulary("sneaker")).variants[0].text


@pytest.mark.parametrize(
    "text", ["", " ", "🎉", "title:(", "*", "AND", "the", "\x00", "' OR 1=1 --", "<b>", "的", "a" * 10_000, "die " * 3_000]
)
def test_odd_texts_have_a_reading(text: str) -> None:
    assert len(read(text).variants) <= MOST_VARIANTS


@given(st.text(), st.sampled_from(sorted(CATALOGUES)))
def test_no_text_raises(text: str, catalogue: str) -> None:
    reading = read(text, catalogue)
    assert len(reading.variants) <= MOST_VARIANTS


PHRASES = sorted({phrase for concept in THESAURUS.concepts for phrases in concept.words.values() for phrase in phrases})


@given(st.lists(st.sampled_from(PHRASES), max_size=6), st.sampled_from(sorted(CATALOGUES)))
def test_no_phrases_raise(phrases: list[str], catalogue: str) -> None:
    reading = read(" ".join(phrases), catalogue)
    assert len(reading.variants) <= MOST_VARIANTS
    assert len({variant.text for variant in reading.variants}) == len(reading.variants)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "zh"])
def test_the_first_word_of_a_language_leads_to_the_english_one(language: str) -> None:
    missed = []
    for concept in THESAURUS.concepts:
        name = concept.words["en"][0]
        for phrase in concept.words.get(language, ())[:1]:
            found = THESAURUS.read(phrase, vocabulary(name)).variants
            missed += [phrase] if name not in {variant.text.lower() for variant in found} else []
    assert len(missed) < 0.04 * len(THESAURUS.concepts), missed


def test_a_shops_own_words_come_first() -> None:
    own = THESAURUS.extended([["Zyxomat", "hot drink machine", "coffee"], ["loo roll", "bath tissue"]])
    assert [variant.text for variant in own.read("zyxomat", CATALOGUES["en"]).variants] == ["coffee"]
    assert [variant.text for variant in own.read("zyxomats", CATALOGUES["en"]).variants] == ["coffee"]
    assert own.read("loo rolls", CATALOGUES["en"]).variants[0].text == "bath tissue"
    assert own.read("Zyxomat ohne Zucker", CATALOGUES["en"]).variants[0].text == "coffee sugar free"
    assert THESAURUS.read("zyxomat", CATALOGUES["en"]).variants == ()


def test_a_word_longer_than_any_compound_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch):
    """Each of its parts would be stemmed, 1.5 s for a thousand letters."""
    looked: list[str] = []
    monkeypatch.setattr(Phrases, "_noun", lambda _phrases, word: looked.append(word))
    phrases = Thesaurus.packaged().phrases
    assert phrases.split_compound("q" * 40) == ("q" * 40,)
    assert looked
    looked.clear()
    assert phrases.split_compound("q" * 41) == ("q" * 41,)
    assert not looked
