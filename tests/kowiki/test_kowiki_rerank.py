"""A dense model puts BM25's best in order; without the package a user is told how to get it."""

import json
import sys

import pytest

from solution.cli import main
from solution.core import UserError
from solution.kowiki import build, open_index
from solution.kowiki.rerank import rerank


@pytest.fixture(scope="module")
def passages(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerank") / "passages"
    build(str(embedded / "wiki.xml.bz2"), folder)
    return folder


@pytest.fixture(scope="module")
def query(passages):
    return open_index(passages).passage(0).titled[:30]


@pytest.fixture(scope="module")
def dense(passages, tmp_path_factory):
    """A BERT of random weights over the wiki's characters, in a folder of the package."""
    st = pytest.importorskip(
        "sentence_transformers", minversion="6", reason="sentence-transformers 6 is not here"
    )
    import torch
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    index = open_index(passages)
    letters = {c for row in range(index.passages) for c in index.passage(row).titled.split()}
    characters = sorted({c for word in letters for c in word})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    folder = tmp_path_factory.mktemp("bert")
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*marks, *characters, *(f"##{c}" for c in characters)]))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    words = len(marks) + 2 * len(characters)
    config = BertConfig(vocab_size=words, num_hidden_layers=1, **sizes)
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(vocabulary), strip_accents=False).save_pretrained(folder)
    whole = st.SentenceTransformer(modules=[Transformer(str(folder)), Pooling(32, "mean")])
    whole.save(str(folder / "whole"))
    return folder / "whole"


def test_hits_stand_in_the_order_of_the_models_similarities(dense, passages, query):
    import sentence_transformers as st

    [hits] = open_index(passages).search([query], 20)
    ranked = rerank(query, hits, str(dense))
    assert {hit.passage for hit in ranked} == {hit.passage for hit in hits}
    assert [hit.passage for hit in ranked] != [hit.passage for hit in hits]
    model = st.SentenceTransformer(str(dense))
    told = model.encode([query, *(hit.passage.titled for hit in ranked)])
    expected = model.similarity(told[:1], told[1:])[0].tolist()
    assert [hit.score for hit in ranked] == pytest.approx(expected, abs=1e-5)
    assert expected == sorted(expected, reverse=True)


def test_the_command_shows_the_best_of_a_larger_pool(dense, passages, query, capsys):
    command = ["kowiki", "search", query, "--passages", str(passages), "--json", "-k", "3"]
    assert main([*command, "--rerank", str(dense)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [pool] = open_index(passages).search([query], 50)
    best = rerank(query, pool, str(dense))[:3]
    assert [row["passage_id"] for row in told] == [hit.passage.passage_id for hit in best]


def test_a_model_with_code_of_its_own_is_refused(dense, passages, query, tmp_path):
    import shutil

    folder = tmp_path / "coded"
    shutil.copytree(dense, folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "own.Module"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own.py").write_text("raise SystemExit('this was run')\n")
    [hits] = open_index(passages).search([query], 5)
    with pytest.raises(UserError, match="no code of its own"):
        rerank(query, hits, str(folder))


def test_without_the_package_its_installation_is_named(passages, query, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    command = ["kowiki", "search", query, "--passages", str(passages), "--rerank", "some/model"]
    assert main(command) == 2
    assert "pip install 'sentence-transformers" in capsys.readouterr().err


def test_objectives_are_not_reranked(tmp_path, capsys):
    command = ["kowiki", "search", "--objectives", str(tmp_path / "o.txt"), "--rerank", "m"]
    assert main(command) == 2
    assert "--objectives" in capsys.readouterr().err
