"""report.html: what it says, and what no name can make of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.reports.html import Tables, page
from tests.reports.documents import (
    HOSTILE,
    candidate_of,
    criterion,
    document_of,
    hostile_document,
    predictions_of,
    tables_of,
)

VOID = {"meta", "link", "path", "polyline", "circle", "br", "td"}  # td: its end tag is optional, and left out
EMPTY = pd.DataFrame()


class Page(HTMLParser):
    """The elements, the texts and the tables of a page, and whether it is well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    return predictions_of()


@pytest.fixture(scope="module")
def whole(predictions: pd.DataFrame) -> str:
    """A season's page."""
    return page(document_of(), tables_of(predictions))


def test_it_answers_what_a_team_lead_asks(whole: str) -> None:
    """Verdict, by how much and how sure, what changed and what to do next, in words, before the first plot."""
    top = Page(whole[: whole.index("<figure>")]).text
    assert "PROMOTE" in top
    assert "advanced has MAE 5.844, v3 5.884: a difference of -0.040 (95% interval -0.061 to -0.018)" in top
    assert "better than v3 beyond chance" in top
    assert "feature groups added opponent" in top
    assert "4 → 6" in top
    assert "pytest --nbaprops-train -n 2 --nbaprops-promote=enforce" in top


def test_it_is_small_and_always_the_same(predictions: pd.DataFrame, whole: str) -> None:
    """At most 150 kB with a season's dates, and a pure function of what it is given."""
    assert len(whole.encode()) <= 150_000
    assert page(document_of(), tables_of(predictions)) == whole


def test_many_dates_and_candidates_do_not_make_it_large() -> None:
    """Five seasons are drawn in bins, and of many candidates the last are told by their criteria alone."""
    five = predictions_of(dates=800, players=10)
    assert len(page(document_of(), tables_of(five)).encode()) <= 150_000
    names = [f"recipe_{number}" for number in range(12)]
    some = pd.concat([predictions_of(name, players=10, seed=seed) for seed, name in enumerate(names)])
    document = document_of(*(candidate_of(name) for name in names))
    assert len(page(document, tables_of(some)).encode()) <= 200_000


def test_its_numbers_are_those_of_the_predictions(predictions: pd.DataFrame, whole: str) -> None:
    """Every date's MAE, the worst miss and the cumulated difference, counted again."""
    text = Page(whole).text
    size = (predictions["predicted"] - predictions["actual"]).abs()
    for day, own in size.groupby(predictions["GAME_DATE"].dt.strftime("%Y-%m-%d")):
        assert f"{day} {len(own)} {own.mean():.3f}" in text
    at = int(size.to_numpy().argmax())
    actual, predicted = (float(predictions[name].iloc[at]) for name in ("actual", "predicted"))
    assert f"{actual:.0f} {predicted:.1f} {predicted - actual:+.1f}" in text
    champion = tables_of(predictions).champion
    assert champion is not None
    gap = (size - (champion["predicted"] - champion["actual"]).abs()).sum()
    assert f"{gap:+,.1f}" in text


def test_it_reads_without_scripts_styles_and_network(whole: str) -> None:
    """No script, no style attribute, nothing loaded; plots are drawn by attributes that no policy forbids."""
    found = Page(whole)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & found.tags()
    for tag, attributes in found.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), (tag, attributes)
    assert "url(" not in whole
    assert "@import" not in whole


def test_its_structure_carries_the_meaning(whole: str) -> None:
    """One h1, no level left out, heads in every table, names for every picture, and links that lead somewhere."""
    found = Page(whole)
    assert found.open == []
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("html", {"lang": "en"}) in found.elements
    for tag, attributes in found.elements:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), attributes
        if tag == "th":
            assert attributes.get("scope") in ("row", "col")
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"])[1:] for tag, attributes in found.elements if tag == "a"]
    assert set(links) <= set(ids)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_makes_markup(text: str) -> None:
    """Whatever stands in a name shows as text, and a name of a megabyte does not make a page of one."""
    quiet, hostile = "advanced", predictions_of(text, dates=6, players=30)
    plain = page(
        hostile_document(quiet), tables_of(predictions_of(quiet, dates=6, players=30), player=quiet, feature=quiet)
    )
    made = page(hostile_document(text), tables_of(hostile, player=text, feature=text))
    assert Page(made).tags() == Page(plain).tags()
    assert Page(page(hostile_document(text, run=True), Tables())).tags() <= Page(plain).tags()
    assert len(made.encode()) < 200_000
    assert not set(made) & {"\u202e", "\u202c", "\r"}
    if text.startswith("<"):
        assert "&lt;script&gt;alert(1)" in made


@pytest.mark.parametrize(
    ("document", "tables"),
    [
        (
            document_of(candidates=[], reasons=["session did not finish"], verdict="INCONCLUSIVE", dataset=None),
            Tables(),
        ),
        (document_of(candidate_of(criteria=[], metrics={}), champion=None, leak_guard=None), Tables()),
        (document_of(), Tables(predictions=predictions_of(dates=1, players=1))),
        (document_of(), Tables(predictions=predictions_of(dates=2, players=3).assign(predicted=4.0, baseline=np.nan))),
        (document_of(), Tables(predictions=predictions_of(dates=30), champion=EMPTY, games=EMPTY)),
        (document_of(candidate_of(market={"metrics": {"roi": None}, "curve": []})), Tables()),
        (document_of(candidate_of(market={"curve": [{"date": "2024-01-01", "profit": None}]})), Tables()),
    ],
    ids=["nothing", "no criteria", "one row", "all the same", "no champion", "no bets", "no profit"],
)
def test_it_is_made_of_whatever_there_is(document: dict[str, object], tables: Tables) -> None:
    """A session that knows little has a page that says little."""
    found = Page(page(document, tables))
    assert str(document["verdict"]) in found.text


def test_bets_are_shown_with_controls_and_drawdown() -> None:
    """The curve, the three controls, and how far it fell, in a picture and in numbers."""
    profits = [1.0, 3.0, -2.0, 4.0]
    curve = [
        {"date": f"2024-01-0{day}", "profit": profit, "blind_over": -1.0 * day, "blind_under": 0.0, "coin": 0.5}
        for day, profit in enumerate(profits, 1)
    ]
    market = {
        "metrics": {"roi": 0.0123},
        "intervals": {"roi": [-0.01, 0.03]},
        "said": ["edge: ROI +1.2%"],
        "money": [{"bets": "always over", "n": 200, "roi": -0.045}],
        "curve": curve,
    }
    text = Page(page(document_of(candidate_of(market=market)), Tables())).text
    for said in (
        "edge: ROI +1.2%",
        "[-0.0100, +0.0300]",
        "200",
        "-0.0450",
        "roi 0.0123",
        "always over",
        "always under",
        "a coin",
        "Drawdown",
        "2024-01-03 -2.00",
    ):
        assert said in text


def test_not_worse_is_another_sentence_than_better() -> None:
    """An interval that holds 0 under a margin is no improvement, and the page says so."""
    row = criterion("mae <= champion + 0.02", "passed", 5.88, 5.87, 5.89, 5.905)
    text = Page(page(document_of(candidate_of(criteria=[row])), Tables())).text
    assert "not worse by more than 0.02, not clearly better" in text
    assert "beyond chance" not in text
