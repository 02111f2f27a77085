"""The embedded wiki is a readable dump in which every social-studies answer stands."""

import bz2
from xml.etree import ElementTree

import pytest

from tools.embedded.facts import SUBJECTS
from tools.embedded.korean import with_particles
from tools.embedded.wiki import COUNTRY, write_wiki

SPACE = {"w": "http://www.mediawiki.org/xml/export-0.11/"}


@pytest.fixture(scope="module")
def pages(made):
    dump = bz2.decompress((made / "wiki.xml.bz2").read_bytes())
    return ElementTree.fromstring(dump).findall("w:page", SPACE)


@pytest.fixture(scope="module")
def articles(pages):
    """Title -> text of every article that is no redirect."""
    return {
        page.findtext("w:title", None, SPACE): page.findtext("w:revision/w:text", "", SPACE)
        for page in pages
        if page.findtext("w:ns", None, SPACE) == "0" and page.find("w:redirect", SPACE) is None
    }


def test_page_numbers_and_titles_are_distinct(pages):
    for tag in ("w:id", "w:title"):
        assert len({page.findtext(tag, None, SPACE) for page in pages}) == len(pages)


def test_there_are_a_redirect_and_a_template(pages, articles):
    (redirect,) = [page for page in pages if page.find("w:redirect", SPACE) is not None]
    assert redirect.find("w:redirect", SPACE).get("title") == COUNTRY
    assert COUNTRY in articles
    assert any(page.findtext("w:ns", None, SPACE) == "10" for page in pages)


def test_every_name_of_the_land_has_an_article_and_no_name_of_the_stories(articles):
    land = {name for kind in ("city", "ruler", "office") for name in SUBJECTS[kind]}
    assert set(articles) == land | {COUNTRY}


def test_every_fact_is_told_in_both_forms_in_its_subjects_article(world, articles):
    for fact in world.facts:
        for form in fact.relation.statements:
            sentence = with_particles(form.replace("{x}", fact.x).replace("{y}", fact.y))
            assert fact.y in sentence
            assert sentence in articles[fact.x]


def test_what_test_and_train_and_quiz_ask_are_parts_of_the_world_without_overlap(world):
    parts = [*world.test, *world.train, *world.quiz]
    assert len(parts) == len(world.facts)
    assert {(f.x, f.relation.name) for f in parts} == {
        (f.x, f.relation.name) for f in world.facts
    }


def test_the_same_seed_writes_the_same_bytes(world, made, tmp_path):
    write_wiki(world, 7, tmp_path / "again.xml.bz2")
    assert (tmp_path / "again.xml.bz2").read_bytes() == (made / "wiki.xml.bz2").read_bytes()
