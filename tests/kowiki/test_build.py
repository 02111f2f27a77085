"""Builds: complete or absent, resumed, the same bytes; the index over them."""

import gzip
import importlib
import json
import random

import bm25s
import numpy as np
import pyarrow.parquet as pq
import pytest

from solution.cli import main
from solution.core import UserError
from solution.kowiki import build, open_index, read_manifest, read_passages, select_articles
from solution.kowiki.index import K1, B, Index, bigrams, write_index
from solution.kowiki.objectives import read_objectives

build_module = importlib.import_module("solution.kowiki.build")


def lines(path, count, size=40):
    """JSON lines of `count` articles of made-up words."""
    rng = random.Random(0)
    rows = []
    for number in range(count):
        words = ["".join(rng.choices("가나다라마바사아자차카타파하", k=3)) for _ in range(size)]
        text = " ".join(f"{word}는 마을이다." for word in words)
        rows.append({"id": str(number), "title": f"글 {number}", "text": text})
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(text, encoding="utf-8")
    return str(path)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(build_module, "SHARD_CHARS", 5_000)


def test_the_embedded_dump_gives_its_articles_and_counts_what_was_left_out(wiki):
    pages = read_manifest(wiki)["pages"]
    kept = {passage.page_id for passage in read_passages(wiki)}
    assert pages == {
        "kept": len(kept),
        "left out: other namespace": 1,
        "left out: redirect": 1,
        "left out: stub": 1,
    }


def test_the_shards_keep_the_sentences_of_each_text(wiki):
    for passage in read_passages(wiki):
        assert " ".join(passage.sentences) == passage.text
        assert all(sentence.endswith("다.") for sentence in passage.sentences)


def test_a_killed_build_continues_with_the_missing_shards_to_the_same_bytes(
    tmp_path, small_shards
):
    source = lines(tmp_path / "a.jsonl", 60)
    build(source, tmp_path / "whole")
    whole = content(tmp_path / "whole")
    assert len(whole) > 5
    build(source, tmp_path / "other")
    mark = read_manifest(tmp_path / "other")["fingerprint"][:8]
    work = tmp_path / f".again.{mark}.work"
    (tmp_path / "other").rename(work)
    (work / "passages-00002.parquet").unlink()
    (work / "manifest.json").unlink()
    kept = (work / "passages-00001.parquet").stat().st_mtime_ns
    build(source, tmp_path / "again")
    assert (tmp_path / "again" / "passages-00001.parquet").stat().st_mtime_ns == kept
    assert content(tmp_path / "again") == whole
    assert not work.exists()


def test_several_processes_write_the_same_bytes_as_one(tmp_path, small_shards, monkeypatch):
    source = lines(tmp_path / "a.jsonl", 40)
    build(source, tmp_path / "one")
    monkeypatch.setattr(build_module, "SMALL", 0)
    build(source, tmp_path / "two", workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_templates_without_a_reading_are_listed_most_frequent_first(tmp_path):
    text = "가상시는 바닷가에 있는 도시이다. " * 9
    text += "인구는 {{인구}}명이다. 넓이는 {{넓이}}이다. 높이는 {{인구}}이다."
    page = f"<page><title>가</title><id>1</id><revision><text>{text}</text></revision></page>"
    (tmp_path / "d.xml").write_text(f"<mediawiki>{page}</mediawiki>", encoding="utf-8")
    manifest = read_manifest(build(str(tmp_path / "d.xml"), tmp_path / "out"))
    assert list(manifest["templates_without_reading"].items()) == [("인구", 2), ("넓이", 1)]
    assert manifest["sentences_left_out"] == {"lost a template, formula or link": 3}


def test_a_source_without_a_page_and_a_folder_of_another_build_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "title": "가", "text": "짧다."}')
    with pytest.raises(UserError, match=r"no page with text.*stub"):
        build(str(tmp_path / "a.jsonl"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    source = lines(tmp_path / "b.jsonl", 3)
    build(source, tmp_path / "out")
    with pytest.raises(UserError, match="another source or other settings"):
        build(source, tmp_path / "out", max_chars=150)
    assert build(source, tmp_path / "out") == tmp_path / "out"


def test_a_passage_finds_itself(wiki):
    passages = [passage._replace(sentences=()) for passage in read_passages(wiki)]
    hits = open_index(wiki).search([passage.titled for passage in passages], 1)
    assert [hit[0].passage for hit in hits] == passages


def test_scores_are_those_of_bm25s(wiki, tmp_path):
    passages = list(read_passages(wiki))
    write_index(passages, len(passages), tmp_path / "i")
    theirs = bm25s.BM25(k1=K1, b=B, method="lucene")
    theirs.index([bigrams(passage.titled) for passage in passages], show_progress=False)
    for query in ("가담의 특산물", "고원"):
        wanted = np.sort(theirs.get_scores(bigrams(query)))[::-1]
        [hits] = Index(tmp_path / "i").search([query], 10)
        assert [hit.score for hit in hits] == pytest.approx(wanted[:10], rel=1e-5)


def test_bigrams_mark_where_words_begin():
    assert bigrams("A급 한국-어_") == [" a", "a급", " 한", "한국", " 어"]


def test_a_query_without_a_known_word_finds_nothing(wiki):
    assert open_index(wiki).search(["zzqq", "", "..."], 5) == [[], [], []]


def test_objectives_select_each_article_once_best_first(wiki, tmp_path):
    path = tmp_path / "o.txt"
    path.write_text("# 지리\n가담의 특산물\n# 정치\n임금이 세운 관청\n", encoding="utf-8")
    articles = select_articles(path, wiki, 3)
    assert articles[0].title == "가담" or articles[0].subject == "정치"
    assert len({one.page_id for one in articles}) == len(articles)
    assert [one.score for one in articles] == sorted((o.score for o in articles), reverse=True)


def test_the_objectives_of_the_repository_are_read_with_their_subjects(embedded):
    rows = read_objectives(embedded.parent / "objectives")
    assert len(rows) >= 300
    assert {"한국사", "세계지리", "경제"} <= {subject for subject, _ in rows}


def test_the_commands_build_and_search(embedded, tmp_path, capsys):
    out = tmp_path / "passages"
    assert main(["kowiki", "build", str(embedded / "wiki.xml.bz2"), "--out", str(out)]) == 0
    assert "312 passages of 156 articles" in capsys.readouterr().out
    search = ["kowiki", "search", "가담의 특산물", "--passages", str(out), "--top-k", "2"]
    assert main([*search, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["title"] == "가담" and len(rows) == 2


def test_real_articles_keep_nearly_all_of_their_sentences(shared_data, tmp_path):
    extract = next((shared_data / "kowiki").glob("*.jsonl.gz"))
    with gzip.open(extract, "rt", encoding="utf-8") as stream:
        rows = [row for _, row in zip(range(120), stream, strict=False)]
    (tmp_path / "20200813.jsonl").write_text("".join(rows), encoding="utf-8")
    out = build(str(tmp_path / "20200813.jsonl"), tmp_path / "out")
    manifest = read_manifest(out)
    kept = sum(len(passage.sentences) for passage in read_passages(out))
    assert manifest["snapshot"] == "2020-08-13"
    assert manifest["pages"]["kept"] > 115
    assert sum(manifest["sentences_left_out"].values()) < 0.05 * kept
    assert pq.read_schema(out / manifest["shards"][0]).field("sentences")
