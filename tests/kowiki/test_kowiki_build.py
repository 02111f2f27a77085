"""Dumps of every kind to passages: what is kept, what is left out, what damage does."""

import bz2
import gzip
import json

import pytest

from solution.base import UserError
from solution.kowiki import build, open_index, read_passages
from solution.kowiki.clean import clean

HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="ko">\n'
PROSE = (
    "달빛골은 산 아래에 있는 오래된 마을이다. 마을에는 우물이 셋 있고 모두 물이 맑다. "
    "봄이면 언덕에 배꽃이 가득 피어 많은 사람이 찾아온다. 가을에는 마을 사람이 모두 모여 "
    "줄다리기를 하고 밤늦도록 노래를 부른다."
)


def page(number, title, text, ns=0, redirect=False):
    redirect = f'<redirect title="{title}" />' if redirect else ""
    return (
        f"  <page>\n    <title>{title}</title>\n    <ns>{ns}</ns>\n    <id>{number}</id>\n"
        f"{redirect}"
        f'    <revision>\n      <id>9</id>\n      <text xml:space="preserve">{text}</text>\n'
        "    </revision>\n  </page>\n"
    )


def built(tmp_path, name, content):
    source = tmp_path / name
    source.write_bytes(content)
    folder = build(str(source), tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return list(read_passages(folder)), manifest


def dump(*pages):
    return (HEAD + "".join(pages) + "</mediawiki>\n").encode()


def test_only_articles_are_kept(tmp_path):
    pages = [
        page(1, "달빛골", PROSE),
        page(2, "달빛", "#넘겨주기 [[달빛골]]", redirect=True),
        page(3, "틀:출처", PROSE, ns=10),
        page(4, "별빛골 (동음이의)", f"{PROSE} {{{{동음이의}}}}"),
        page(5, "토막", "짧다."),
    ]
    passages, _ = built(tmp_path, "wiki.xml", dump(*pages))
    assert {passage.title for passage in passages} == {"달빛골"}
    assert " ".join(passage.text for passage in passages) == PROSE


@pytest.mark.parametrize("name", ["wiki.xml", "wiki.xml.bz2", "wiki.jsonl", "wiki.jsonl.gz"])
def test_every_layout_gives_the_same_passages(tmp_path, name):
    if ".jsonl" in name:
        row = {"id": "1", "title": "달빛골", "text": f"달빛골\n\n{PROSE}"}
        content = json.dumps(row, ensure_ascii=False).encode()
    else:
        content = dump(page(1, "달빛골", PROSE))
    pack = {"bz2": bz2.compress, "gz": gzip.compress}.get(name.rpartition(".")[2], bytes)
    passages, _ = built(tmp_path, name, pack(content))
    assert " ".join(passage.text for passage in passages) == PROSE
    assert {passage.page_id for passage in passages} == {"1"}


def test_passages_are_whole_sentences_under_their_headings(tmp_path):
    text = f"{PROSE}\n\n== 역사 ==\n{PROSE} {PROSE}\n=== 근대 ===\n{PROSE}\n== 각주 ==\n{PROSE}"
    passages, _ = built(tmp_path, "wiki.xml", dump(page(1, "달빛골", text)))
    assert {passage.section for passage in passages} == {"", "역사", "역사 > 근대"}
    assert all(passage.text.endswith(".") for passage in passages)


@pytest.mark.parametrize(
    ("wikitext", "plain"),
    [
        ("'''달빛골'''은 [[산|큰 산]] 아래의 [[마을]]이다.", "달빛골은 큰 산 아래의 마을이다."),
        (
            "마을이다.<ref name=a>책 {{출처|[[책]]}}</ref><ref name=a /> 맑다.",
            "마을이다. 맑다.",
        ),
        ("{{상자|이름={{작게|달빛골}}|값=1}}마을이다.", "마을이다."),
        ("{|\n|칸||{|\n|속\n|}\n|}\n마을이다.", "마을이다."),
        ("[[파일:산.jpg|섬네일|[[산]]의 모습]]마을이다.[[분류:마을]]", "마을이다."),
        ("[https://example.org 누리집]이다.<!-- 주석 -->", "누리집이다."),
    ],
)
def test_marks_go_and_words_stay(wikitext, plain):
    assert clean(wikitext)[0].strip() == plain


def test_a_dump_that_breaks_off_gives_what_is_whole(tmp_path):
    whole = dump(*(page(n, f"마을{n}", PROSE) for n in range(40)))
    passages, manifest = built(tmp_path, "wiki.xml", whole[: len(whole) // 2])
    titles = {passage.title for passage in passages}
    assert 15 <= len(titles) < 40
    assert "end" in json.dumps(manifest["pages"])


def test_a_damaged_stream_costs_only_itself(tmp_path):
    streams = [bz2.compress(page(n, f"마을{n}", PROSE).encode()) for n in range(10)]
    streams[4] = streams[4][:40] + bytes(20) + streams[4][60:]
    content = b"".join([bz2.compress(HEAD.encode()), *streams])
    passages, _ = built(tmp_path, "wiki.xml.bz2", content)
    titles = {passage.title for passage in passages}
    assert {f"마을{n}" for n in range(10) if n not in (3, 4, 5)} <= titles
    assert "마을4" not in titles


def test_entities_that_a_dump_declares_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE b [<!ENTITY a "하하하하"><!ENTITY b "&a;&a;&a;&a;">]>'
    content = bomb.encode() + dump(page(1, "달빛골", f"{PROSE} &b;"))
    passages, _ = built(tmp_path, "wiki.xml", content)
    assert passages
    assert all("하하" not in passage.text for passage in passages)


def test_nested_tables_end(tmp_path):
    text = "{|\n|" * 3000 + PROSE + "\n|}" * 3000 + f"\n{PROSE}"
    pages = [page(1, "표", text), page(2, "달빛골", PROSE)]
    passages, _ = built(tmp_path, "wiki.xml", dump(*pages))
    assert "달빛골" in {passage.title for passage in passages}


def test_the_same_dump_gives_the_same_bytes(tmp_path, embedded):
    source = str(embedded / "wiki.xml.bz2")
    first, again = build(source, tmp_path / "a"), build(source, tmp_path / "b", workers=1)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in names)


@pytest.mark.parametrize(("name", "content"), [("a.xml", b""), ("a.xml", b"\x00\x01binary")])
def test_what_is_no_wiki_is_refused(tmp_path, name, content):
    with pytest.raises(UserError, match=name):
        built(tmp_path, name, content)
    assert not (tmp_path / "out").exists()


def test_search_finds_the_passage_that_tells_it(tmp_path, embedded):
    folder = build(str(embedded / "wiki.xml.bz2"), tmp_path / "out")
    index = open_index(folder)
    wanted = list(read_passages(folder))[::20]
    for passage in wanted:
        best = index.search([passage.text], 3)[0]
        assert passage.passage_id in [hit.passage.passage_id for hit in best]
        assert best == sorted(best, key=lambda hit: -hit.score)
    assert index.search(["없는낱말쀍"], 3) == [[]]


def test_a_folder_that_is_no_build_is_named(tmp_path):
    with pytest.raises(UserError, match="kowiki build"):
        open_index(tmp_path)
