"""CoT-Collection's rows in Korean: drawn, translated, numbers kept, resumed row by row."""

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from tiny import tiny_tokenizer

from solution.core import UserError, resolve_path
from solution.exam import read_exam
from solution.finetune.instruction_data import load_instructions
from solution.finetune.recipe import Instructions
from tools.translate import JOURNAL, draw, translate
from tools.translators import KEPT, TranslationError, deepl_translator, model_translator

SAID = "Leah had 1,032.5 apples & {name} <b> ate 35% of them.\nHow many? (A) few [END] $x_1$"
WORD = re.compile(r"[A-Za-z]+")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Twelve rows in CoT-Collection's layout: every third without any number."""
    monkeypatch.chdir(tmp_path)
    rows = {}
    for i in range(12):
        many = f"{i + 20} apples" if i % 3 else "some apples"
        name = WORD.findall("Ann Bob Cy Dee Ed Flo Gus Hal Ida Jo Kim Leo")[i]
        rows[str(i)] = {
            "source": f"{name} has {many} & a pear.\nWhat does {name} have?",
            "target": many,
            "rationale": f"It is said that {name} has {many}.",
            "task": "rc",
        }
    path = tmp_path / "cot.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


class Server(BaseHTTPRequestHandler):
    """Speaks DeepL's protocol: words become Korean, elements named in ignore_tags stay."""

    texts: ClassVar[list[str]] = []
    quota = 10**6

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == "DeepL-Auth-Key key:fx"
        assert (body["source_lang"], body["target_lang"]) == ("EN", "KO")
        assert (body["tag_handling"], body["ignore_tags"]) == ("xml", ["x"])
        Server.texts += body["text"]
        status = 456 if len(Server.texts) > Server.quota else 200
        parts = [re.split(r"(<x .*?</x>|&\w+;)", text) for text in body["text"]]
        for part in parts:
            part[::2] = [WORD.sub("말", text) for text in part[::2]]
        facts = {"detected_source_language": "EN", "billed_characters": 1}
        found = [{"text": "".join(part)} | facts for part in parts]
        answer = json.dumps({"translations": found}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def deepl(monkeypatch):
    pytest.importorskip("deepl")
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Server.texts, Server.quota = [], 10**6
    monkeypatch.setenv("DEEPL_AUTH_KEY", "key:fx")
    monkeypatch.setenv("DEEPL_SERVER_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield Server
    server.shutdown()


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("by", ["deepl", "model"])
def test_numbers_and_placeholders_are_hidden_and_put_back_whatever_their_order(
    by, model, deepl
):
    one = deepl_translator() if by == "deepl" else model_translator(str(model))
    text, kept = one.hide(SAID)
    assert kept == ["1,032.5", "{name}", "<b>", "35%", "(A)", "[END]", "$x_1$"]
    assert one.restore(text, kept) == SAID
    turned = " ".join(reversed([m[0] for m in one.find.finditer(text)]))
    assert one.restore(turned, kept).split() == kept[::-1]
    for spoilt in (one.find.sub("", text, count=1), text + turned, text.replace("3", "9")):
        with pytest.raises(TranslationError):
            one.restore(spoilt, kept)


def test_the_draw_is_that_of_the_seed_and_of_the_rows_in_whatever_order(source, tmp_path):
    drawn = draw(str(source), 5, seed=0)
    turned = tmp_path / "turned.jsonl"
    rows = list(json.loads(source.read_text()).values())
    again = "".join(json.dumps(row) + "\n" for row in [*rows[::-1], rows[0]])
    turned.write_text(again, encoding="utf-8")
    assert draw(str(turned), 5, seed=0) == drawn != draw(str(turned), 5, seed=1)
    with pytest.raises(UserError, match="has 12 rows, not 13"):
        draw(str(turned), 13, seed=0)


def test_deepl_translates_every_word_keeps_every_number_and_recipes_read_it(
    deepl, source, tmp_path
):
    told = translate(str(source), 12, "deepl", tmp_path / "run", 0)
    rows = lines(tmp_path / "run" / "rows.jsonl")
    english = {row["id"]: row for row in draw(str(source), 12, seed=0)}
    assert len(rows) == 12 and "12 rows, 0 failed" in told
    for row in rows:
        for key in ("source", "target", "rationale"):
            was = english[row["id"]][key]
            assert not WORD.search(row[key]) and row[key].count("말") == len(WORD.findall(was))
            assert Counter(KEPT.findall(row[key])) == Counter(KEPT.findall(was))
            assert row[key].count("\n") == was.count("\n") and ("&" in was) == ("&" in row[key])
    test = read_exam(resolve_path("data/embedded/test.csv"))
    plan = Instructions(source=str(tmp_path / "run" / "rows.jsonl"), template="cot-ko")
    learnt = load_instructions([plan], test, 0).rows
    assert len(learnt) == len({row["source"] for row in rows}) == 9  # names became one word
    asked = len(deepl.texts)
    translate(str(source), 12, "deepl", tmp_path / "run", 0)
    assert len(deepl.texts) == asked  # the finished run is used again


def test_a_used_up_quota_keeps_what_was_paid_for(deepl, source, tmp_path):
    deepl.quota = 20
    with pytest.raises(UserError, match="quota is used up"):
        translate(str(source), 12, "deepl", tmp_path / "run", 0)
    (journal,) = tmp_path.glob(f".run.*.work/{JOURNAL}")
    paid = lines(journal)
    assert 0 < len(paid) < 12 and not (tmp_path / "run").exists()
    with journal.open("ab") as stream:
        stream.write(b'{"id": "cut sh')  # killed while writing
    deepl.quota, deepl.texts = 10**6, []
    translate(str(source), 12, "deepl", tmp_path / "run", 0)
    rows = lines(tmp_path / "run" / "rows.jsonl")
    assert len(rows) == 12 and all(row in rows for row in paid)
    again = [text for row in paid for text in row["source"].split("\n")]
    assert not set(again) & set(deepl.texts) and len(deepl.texts) == 4 * (12 - len(paid))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A seq2seq model of a few thousand random weights that ends where it must."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("seq2seq")
    tokenizer = tiny_tokenizer()
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    ends["decoder_start_token_id"] = tokenizer.pad_token_id
    torch.manual_seed(0)
    made = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes, **ends))
    made.generation_config.forced_eos_token_id = tokenizer.eos_token_id
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_local_model_translates_and_rows_whose_numbers_it_loses_are_counted(
    model, source, tmp_path
):
    told = translate(str(source), 12, str(model), tmp_path / "run", 0)
    rows, failed = (lines(tmp_path / "run" / f"{n}.jsonl") for n in ("rows", "failed"))
    assert len(rows) == 4
    assert Counter(row["error"] for row in failed) == {
        "a number or placeholder was lost or doubled": 8
    }
    assert "4 rows, 8 failed" in told
    english = {row["id"]: row for row in draw(str(source), 12, seed=0)}
    for row in rows:
        assert not KEPT.search(english[row["id"]]["source"])
        assert row["source"] != english[row["id"]]["source"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["translated"] == 4 and sum(metrics["failed"].values()) == 8


def test_without_key_or_model_one_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("DEEPL_AUTH_KEY", raising=False)
    with pytest.raises(UserError, match=r"deepl is not installed|DEEPL_AUTH_KEY is not set"):
        deepl_translator()
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="no translation model could be loaded"):
        model_translator(str(tmp_path))
