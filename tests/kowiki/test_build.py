import bz2
import gzip
import json
import random
from pathlib import Path

import bm25s
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from solution.core import UserError
from solution.kowiki import (
    build,
    open_index,
    read_manifest,
    read_passages,
    select_articles,
)
from solution.kowiki import source as source_module
from solution.kowiki.analyse import analyse
from solution.kowiki.index import K1, B, Index, write_index


def page(number, text, title=None):
    name = title or f"글 {number}"
    return (
        f"<page><title>{name}</title><ns>0</ns><id>{number}</id><revision><text>{text}</text>"
        "</revision></page>\n"
    )


def body(number, size=40):
    rng = random.Random(number)
    words = ["".join(rng.choices("가나다라마바사아자차카타파하", k=3)) for _ in range(size)]
    return " ".join(f"{word}는 마을이다." for word in words)


def dump(path, pages, head=""):
    data = (head + "<mediawiki>" + "".join(pages) + "</mediawiki>").encode()
    path.write_bytes(bz2.compress(data, 1) if path.suffix == ".bz2" else data)
    return path


def ids(folder):
    return list(dict.fromkeys(passage.page_id for passage in read_passages(folder)))


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(
        source_module, "PART_BYTES", dict.fromkeys(source_module.PART_BYTES, 5_000)
    )


@pytest.mark.parametrize("name", ["d.xml", "d.xml.bz2"])
def test_parts_of_a_dump_hold_every_page_once_wherever_they_are_cut(
    tmp_path, small_parts, name
):
    path = dump(tmp_path / name, [page(n, body(n, 5 + n % 90)) for n in range(300)])
    build(str(path), tmp_path / "out", workers=1, shortest=1)
    assert len(read_manifest(tmp_path / "out")["shards"]) > 3
    assert ids(tmp_path / "out") == [str(n) for n in range(300)]


def test_the_embedded_dump_gives_its_articles_and_says_what_was_left_out(embedded, tmp_path):
    build(str(embedded / "wiki.xml.bz2"), tmp_path / "out", workers=1)
    told = read_manifest(tmp_path / "out")
    assert told["pages"]["left out: other namespace"] == 1
    assert told["pages"]["left out: redirect"] == 1
    assert told["pages"]["kept"] == len(ids(tmp_path / "out"))
    assert not any("{" in passage.text for passage in read_passages(tmp_path / "out"))


def test_a_killed_build_goes_on_with_the_missing_shards_to_the_same_bytes(
    tmp_path, small_parts
):
    path = dump(tmp_path / "d.xml", [page(n, body(n)) for n in range(200)])
    build(str(path), tmp_path / "whole", workers=1)
    build(str(path), tmp_path / "other", workers=1)
    shards = sorted(file.name for file in (tmp_path / "whole").iterdir())
    for name in shards:
        assert (tmp_path / "whole" / name).read_bytes() == (
            tmp_path / "other" / name
        ).read_bytes()
    mark = read_manifest(tmp_path / "other")["fingerprint"][:8]
    work = tmp_path / f".again.{mark}.work"
    (tmp_path / "other").rename(work)
    (work / shards[-1]).unlink()
    (work / "manifest.json").unlink()
    kept = (work / shards[1]).stat().st_mtime_ns
    build(str(path), tmp_path / "again", workers=1)
    assert (tmp_path / "again" / shards[1]).stat().st_mtime_ns == kept
    for name in shards:
        assert (tmp_path / "whole" / name).read_bytes() == (
            tmp_path / "again" / name
        ).read_bytes()


def test_a_dump_cut_in_the_middle_gives_the_pages_before(tmp_path, capsys):
    path = dump(tmp_path / "d.xml", [page(n, body(n)) for n in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    build(str(path), tmp_path / "out", workers=1)
    assert 20 <= len(ids(tmp_path / "out")) <= 26
    assert "page cut off by the end of the file: 1" in capsys.readouterr().err


def test_a_broken_bz2_block_costs_only_its_own_pages(tmp_path, capsys):
    path = dump(tmp_path / "d.xml.bz2", [page(n, body(n, 200)) for n in range(200)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    build(str(path), tmp_path / "out", workers=1)
    found = ids(tmp_path / "out")
    assert 120 < len(found) < 200
    assert (found[0], found[-1]) == ("0", "199")
    assert "broken bz2 block: 1" in capsys.readouterr().err


def test_a_page_of_twenty_megabytes_is_left_out_and_the_next_ones_are_read(tmp_path, capsys):
    pages = [page(1, body(1)), page(2, "가나다. " * 2_000_000), page(3, body(3))]
    build(str(dump(tmp_path / "d.xml", pages)), tmp_path / "out", workers=1)
    assert ids(tmp_path / "out") == ["1", "3"]
    assert "page over 8 MiB: 1" in capsys.readouterr().err


def test_entities_that_a_dump_declares_are_never_expanded(tmp_path, capsys):
    bomb = '<!DOCTYPE x [<!ENTITY a "하하"><!ENTITY b "&a;&a;&a;&a;">]>'
    path = dump(tmp_path / "d.xml", [page(1, f"{body(1)} 웃음은 &b;이다.")], head=bomb)
    build(str(path), tmp_path / "out", workers=1)
    assert "하하" not in "".join(passage.text for passage in read_passages(tmp_path / "out"))
    assert "not expanded" in capsys.readouterr().err


def test_the_same_articles_come_out_of_every_form(tmp_path):
    rows = [{"id": str(n), "title": f"글 {n}", "text": body(n)} for n in range(20)]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\nbroken\n"
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(lines)
    folder = tmp_path / "extracted" / "AA"
    folder.mkdir(parents=True)
    blocks = [
        f'<doc id="{r["id"]}" url="u" title="{r["title"]}">\n'
        f"{r['title']}\n\n{r['text']}\n</doc>\n"
        for r in rows
    ]
    (folder / "wiki_00").write_text("".join(blocks), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    found = [
        list(read_passages(build(str(tmp_path / name), tmp_path / f"out{n}", workers=1)))
        for n, name in enumerate(["a.jsonl.gz", "extracted", "a.parquet"])
    ]
    assert found[0] == found[1] == found[2]
    assert len({passage.page_id for passage in found[0]}) == 20


def test_lines_that_are_no_pages_are_counted_and_the_others_read(tmp_path, capsys):
    good, half, number = ({"id": str(n), "title": "가", "text": body(n)} for n in range(3))
    half["text"] += "\ud800"  # half a character
    number["text"] = 5
    lines = [json.dumps(one) for one in (half, number, good)] + ["{"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    built = build(str(tmp_path / "a.jsonl"), tmp_path / "out", workers=1)
    assert {passage.page_id for passage in read_passages(built)} == {"0"}
    assert "unreadable line: 3" in capsys.readouterr().err


def test_what_is_no_wiki_is_refused_with_what_is_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.xml").write_text("<html></html>")
    (tmp_path / "a.parquet").write_text("no")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "b.parquet")
    for name in ("none", "empty", "a.txt", "a.xml", "a.parquet", "b.parquet"):
        with pytest.raises(UserError):
            build(str(tmp_path / name), tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_another_build_is_not_overwritten(embedded, tmp_path):
    source = str(embedded / "wiki.xml.bz2")
    build(source, tmp_path / "out", workers=1)
    with pytest.raises(UserError, match="another source or other settings"):
        build(source, tmp_path / "out", length=150, workers=1)
    assert build(source, tmp_path / "out", workers=1) == tmp_path / "out"


@pytest.fixture(scope="module")
def wiki(embedded, tmp_path_factory) -> Path:
    return build(
        str(embedded / "wiki.xml.bz2"), tmp_path_factory.mktemp("wiki") / "w", workers=1
    )


@pytest.mark.parametrize("analyser", ["bigrams", "words"])
def test_a_passage_finds_itself(wiki, analyser):
    index = open_index(wiki, analyser)
    passages = list(read_passages(wiki))
    hits = index.search([passage.titled for passage in passages], 1)
    assert [hit[0].passage for hit in hits] == passages


def test_scores_are_those_that_bm25s_gives(wiki, tmp_path):
    passages = list(read_passages(wiki))
    write_index(passages, len(passages), tmp_path / "i", "bigrams")
    tokens = [[int(code) for code in analyse([p.titled], "bigrams")[0]] for p in passages]
    vocabulary = {
        token: n for n, token in enumerate(sorted({t for row in tokens for t in row}))
    }
    theirs = bm25s.BM25(k1=K1, b=B, method="lucene")
    numbered = [[vocabulary[token] for token in row] for row in tokens]
    theirs.index((numbered, dict(vocabulary)), show_progress=False)
    for query in ("가담의 특산물", "고원"):
        codes = [int(code) for code in analyse([query], "bigrams")[0]]
        wanted = np.sort(
            theirs.get_scores_from_ids(
                [vocabulary[code] for code in codes if code in vocabulary]
            )
        )[::-1]
        [hits] = Index(tmp_path / "i", "bigrams").search([query], 10)
        assert [hit.score for hit in hits] == pytest.approx(wanted[:10], rel=1e-5)


def test_a_query_without_a_known_word_finds_nothing(wiki):
    assert open_index(wiki).search(["zzqq", "", "..."], 5) == [[], [], []]


def test_objectives_select_each_article_once_best_first(wiki, tmp_path):
    path = tmp_path / "o.txt"
    path.write_text("# 지리\n가담의 특산물\n# 정치\n임금이 세운 관청\n", encoding="utf-8")
    articles = select_articles(path, wiki, "bigrams", 3)
    assert articles[0].title == "가담" or articles[0].subject == "정치"
    assert len({one.page_id for one in articles}) == len(articles)
    assert [one.score for one in articles] == sorted((o.score for o in articles), reverse=True)


def test_all_real_articles_go_through(shared_data, tmp_path):
    extract = next((shared_data / "kowiki").glob("*.jsonl.gz"))
    told = read_manifest(build(str(extract), tmp_path / "out", workers=1))
    assert told["snapshot"] == "2020-08-13"
    assert told["pages"]["kept"] > 12_000
    assert (
        sum(n for reason, n in told["pages"].items() if reason != "finished by the parser")
        == 12_990
    )
