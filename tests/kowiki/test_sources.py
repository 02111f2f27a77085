"""Pages come out of every supported format; what cannot be read is counted or refused."""

import bz2
import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from solution.core import UserError
from solution.kowiki.sources import open_source, read_pages

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo><namespaces>'
    '<namespace key="0" /><namespace key="4">위키백과</namespace></namespaces></siteinfo>'
)


def revision(text, time="2024-01-01T00:00:00Z", model="wikitext", extra=""):
    return (
        f"<revision><id>1</id><timestamp>{time}</timestamp><model>{model}</model>"
        f"<text>{text}</text>{extra}</revision>"
    )


def dump(path, *pages, compress=bytes):
    body = "".join(f"<page>{page}</page>" for page in pages)
    path.write_bytes(compress(f"{HEAD}{body}</mediawiki>".encode()))
    return path


def read(path):
    counts = Counter()
    return [page for _, page in read_pages(open_source(str(path)), counts)], counts


def test_the_newest_revision_by_time_and_the_main_slot_are_read(tmp_path):
    slot = '<content><role>mediainfo</role><model>json</model><text>{"a": 1}</text></content>'
    new = revision("새 글", "2024-02-02T00:00:00Z", extra=slot)
    old = revision("옛 글", "2005-01-01T00:00:00Z")
    path = dump(tmp_path / "d.xml", f"<title>가</title><ns>0</ns><id>1</id>{new}{old}")
    [page], _ = read(path)
    assert (page.page_id, page.title, page.text) == ("1", "가", "새 글")
    assert (page.model, page.date) == ("wikitext", "2024-02-02")


def test_namespaces_without_a_number_come_from_the_siteinfo(tmp_path):
    path = dump(tmp_path / "d.xml", *(
        f"<title>{title}</title><id>1</id>{revision('글')}"
        for title in ("위키백과:사랑방", "CSI: 마이애미")
    ))  # fmt: skip
    pages, _ = read(path)
    assert [page.namespace for page in pages] == [4, 0]


def test_redirects_models_and_deleted_texts_are_marked(tmp_path):
    path = dump(
        tmp_path / "d.xml",
        f"<title>가</title><ns>0</ns><id>1</id><redirect title='나' />{revision('글')}",
        f"<title>나</title><ns>0</ns><id>2</id>{revision('{}', model='json')}",
        "<title>다</title><ns>0</ns><id>3</id><revision><text deleted='deleted' /></revision>",
    )
    pages, _ = read(path)
    assert [page.redirect for page in pages] == [True, False, False]
    assert [page.model for page in pages] == ["wikitext", "json", "wikitext"]
    assert pages[2].text == ""


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("d.xml", bytes),
        ("d.xml.gz", gzip.compress),
        ("d.xml.bz2", lambda data: bz2.compress(data[:99]) + bz2.compress(data[99:])),
        ("d.xml.zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
    ],
)
def test_compressed_dumps_are_read(tmp_path, name, compress):
    path = dump(tmp_path / name, f"<title>가</title><ns>0</ns><id>1</id>{revision('글')}",
                compress=compress)  # fmt: skip
    assert [page.title for page in read(path)[0]] == ["가"]


@pytest.mark.parametrize("name", ["d.xml", "d.xml.bz2"])
def test_a_dump_that_is_cut_off_gives_the_pages_before_and_says_so(tmp_path, name):
    pages = [
        f"<title>글 {n}</title><ns>0</ns><id>{n}</id>{revision('글 ' * 999)}" for n in range(50)
    ]
    whole = dump(tmp_path / "whole.xml", *pages).read_bytes()
    path, data = tmp_path / name, whole[: len(whole) // 2]
    if name.endswith("bz2"):
        data = bz2.compress(data)[:-9]
    path.write_bytes(data)
    found, counts = read(path)
    assert 0 < len(found) < 50
    assert [reason for reason in counts if "cut off" in reason]


ROWS = [
    {"id": "7", "title": "가", "text": "글이다."},
    {"index": {"_type": "_doc", "_id": "7"}},
    {"namespace": 0, "title": "가", "source_text": "글이다.", "text": "x", "timestamp": "2024"},
    {
        "name": "가",
        "identifier": 7,
        "namespace": {"identifier": 0},
        "article_body": {"wikitext": "글이다."},
        "date_modified": "2024-01-01T00:00:00Z",
    },
    {
        "name": "가",
        "identifier": 7,
        "sections": [{"name": "개요", "has_parts": [{"value": "글이다."}]}],
    },
]  # fmt: skip


def test_json_lines_of_every_kind_are_read_and_broken_ones_counted(tmp_path):
    half = {"id": "1", "title": "가", "text": "\ud800"}
    lines = [*map(json.dumps, ROWS), "broken", json.dumps(half), '{"id": 1}']
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    pages, counts = read(tmp_path / "a.jsonl.gz")
    texts = ["글이다.", "글이다.", "글이다.", "== 개요 ==\n글이다."]
    assert [(page.page_id, page.title) for page in pages] == [("7", "가")] * 4
    assert [page.text for page in pages] == texts
    assert [page.model for page in pages] == ["", "wikitext", "wikitext", ""]
    assert counts == {"unreadable line": 3}


def test_parquet_files_in_a_folder_are_read_in_order_beside_what_is_no_wiki(tmp_path, capsys):
    for number in range(2):
        row = {"id": str(number), "title": "가", "text": None if number else "글"}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"{number}.parquet")
    (tmp_path / "md5sums.txt").write_text("0  a")
    pages, _ = read(tmp_path)
    assert [(page.page_id, page.text) for page in pages] == [("0", "글"), ("1", "")]
    assert "skipped: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none", None),
        ("a.txt", b"hello"),
        ("a.xml", b"<html></html>"),
        ("login.xml", b"<!DOCTYPE html><html></html>"),
        ("bomb.xml", b'<!DOCTYPE x [<!ENTITY a "b">]><mediawiki></mediawiki>'),
        ("api.json", b'{"batchcomplete": true, "query": {}}'),
        ("array.json", b'[{"id": 1}]'),
        ("empty.jsonl", b""),
        ("a.parquet", b"no"),
        ("index.txt.bz2", bz2.compress(b"600:1:a")),
        ("broken.xml.gz", b"no gzip"),
    ],
)
def test_what_is_no_wiki_is_refused_by_name(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        open_source(str(tmp_path / name))


def test_a_table_without_the_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"pageid": [1], "title": ["가"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="column id, text missing"):
        open_source(str(tmp_path / "a.parquet"))
