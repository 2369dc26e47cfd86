"""Markup goes, and what only looks like markup stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.text.html import without_markup


def words(text: str) -> str:
    return " ".join(without_markup(text).split())


@pytest.mark.parametrize(
    "text",
    [
        "3 < 5 and 7 > 2",
        "AT&T; R&D, Q&A",
        "size <L> and <XL>",
        "size <S>, <M>",
        "I <3 tea",
        "<5 mm",
        "a <b and b> c",
        "Learn the <div> element",
        "John <john@example.com>",
        "[NEW] Shirt [L] [2-pack]",
        "black & white, day&nota sun&region;",
        "{blue} shirt",
        "100% cotton; 50 & more",
        "x <y",
        "",
    ],
)
def test_plain_texts_stay(text: str) -> None:
    assert without_markup(text) == text


@given(st.text(st.characters(blacklist_characters="&[{", blacklist_categories=["Cs"])).filter(lambda text: "</" not in text))
def test_a_text_without_a_known_tag_stays(text: str) -> None:
    assert without_markup(text.replace("<", "< ")) == text.replace("<", "< ")


@given(st.text("abc <>&;#[]/=\"'!-{}%pbridvstyle", max_size=60))
def test_no_input_breaks_it_or_is_changed_by_a_second_look_for_tags(text: str) -> None:
    assert "<br>" not in without_markup(f"{text}<br>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cap &amp; Badge &#8211; Blue", "Cap & Badge – Blue"),
        ("Caf&eacute; &#x2122;&nbsp;5", "Café ™ 5"),
        ("5 &lt; 7 &gt; 3", "5 < 7 > 3"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("size &lt;L&gt;", "size <L>"),
    ],
)
def test_entities_are_decoded(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<div class="a" style="padding:0 12px"><meta charset="utf-8"><span>leather ankle boot</span></div>', "leather ankle boot"),
        ("Pre<b>mium</b> tea", "Premium tea"),
        ("<ul><li>one<li>two</ul><table><tr><td>1</td><td>2</td></tr></table>", "one two 1 2"),
        ("<td>a</td><td>b</td>", "a b"),
        ("one<br>two<br/>three", "one two three"),
        ("<P ALIGN=CENTER>Tea", "Tea"),
        ("<p>size <S>, <M> &amp; 3 < 5</p>", "size <S>, <M> & 3 < 5"),
        ("I <3 <b>tea</b>", "I <3 tea"),
        ("<o:p></o:p>Hi <my-element>you</my-element>", "Hi you"),
        ("<style>p{color:red}</style><script>if(a<b){x('</p>')}</script>Lamp<noscript>no</noscript><!-- wp:p -->", "Lamp"),
        ("<![CDATA[<p>Green<br>tea</p>]]>", "Green tea"),
        ("&lt;p&gt;Green&lt;br&gt;tea&lt;/p&gt;", "Green tea"),
        ("&amp;lt;p&amp;gt;Green tea&amp;lt;/p&amp;gt;", "Green tea"),
        ("<p>Learn the &lt;div&gt; element</p>", "Learn the <div> element"),
        ('<div class="a">Boot with zi', "Boot with zi"),  # cut by the export
        ('Boot<span class="a', "Boot"),
        ("Boot<!-- and", "Boot"),
    ],
)
def test_html_is_removed(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[gallery ids="1,2"]Tea', "Tea"),
        ("[vc_row el_class='x'][vc_column]Tea[/vc_column][/vc_row]", "Tea"),
        ("[vc_raw_html]JTNDZGl2[/vc_raw_html]Tea", "Tea"),
        ('[my-box color="red"]Tea', "Tea"),
        ('{{widget type="Magento\\Cms\\Block" id="4"}}Tea', "Tea"),
        ('<img src="{{media url="a.jpg"}}" alt="x">Tea', "Tea"),
        (
            '<style>#html-body [data-pb-style=A]{x:y}</style><div data-content-type="html">&lt;p&gt;Oak&lt;/p&gt;</div>',
            "Oak",
        ),
        ("{% include 'x' %}Tea", "Tea"),
    ],
)
def test_shortcodes_and_directives_are_removed(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["<div>" * 50_000, "<!--" * 20_000, "<p>" + "<" * 100_000, "<a " + 'x="' * 50_000, "[a " * 50_000])
def test_hostile_markup_ends(text: str) -> None:
    assert len(without_markup(text)) <= len(text)
