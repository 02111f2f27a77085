"""A teacher behind an endpoint: a server on loopback with valid, invalid and no responses."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from solution.core import UserError
from solution.core.config import PACKAGE
from solution.exam import load_prompt, read_exam
from solution.kowiki import Judge, questions, read_passages
from solution.kowiki.teacher import CALLS, generate_with_teacher, read_teacher
from solution.models import ModelReference


class Server:
    """An OpenAI-compatible endpoint; `say` makes the text of its nth answer, or a status."""

    def __init__(self, say):
        self.say, self.bodies, self.keys = say, [], []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.bodies.append(body)
                owner.keys.append(self.headers.get("Authorization"))
                said = owner.say(len(owner.bodies), body)
                status = said if isinstance(said, int) else 200
                message = {"choices": [{"message": {"content": said}}]}
                message["usage"] = {"prompt_tokens": 100, "completion_tokens": 10}
                data = json.dumps(message).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(say, **changes):
        servers.append(Server(say))
        text = (PACKAGE / "teachers" / "openai.yaml").read_text(encoding="utf-8")
        value = yaml.safe_load(text) | {"base_url": servers[-1].address, "model": "m"} | changes
        path = tmp_path / "teacher.yaml"
        path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
        return servers[-1], path

    yield start
    for server in servers:
        server.server.shutdown()


def page(body):
    """A question on the passage that the prompt holds, with its last word as the answer."""
    text = body["messages"][-1]["content"].split("글: ", 1)[1].split("\n")[0]
    answer = text.rstrip(".").split()[-1]
    question = f"‘{text[:30]}’에 이어지는 글의 끝말로 알맞은 것은 무엇인가?"
    choices = ["가나다라", "마바사아", answer, "자차카타", "파하거너"]
    return {"questions": [{"question": question, "choices": choices, "answer": 3}]}


def good(_number, body):
    return "```json\n" + json.dumps(page(body), ensure_ascii=False) + "\n```"


def test_what_the_teacher_writes_passes_the_same_filters_and_is_counted(
    serve, wiki, embedded, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "geheim")
    server, path = serve(good, price_per_million_tokens=[1.0, 10.0])
    out = tmp_path / "out"
    report = questions(
        wiki, embedded / "test.csv", [], out, limit=12, seed=0, teacher=str(path)
    )
    assert report["teacher"]["passages"] == 12
    assert report["teacher"]["cost"] == pytest.approx((1200 * 1 + 120 * 10) / 1e6)
    assert server.keys[0] == "Bearer geheim"
    assert server.bodies[0]["response_format"]["type"] == "json_schema"
    made = read_exam(out / "questions.csv", answers=True).questions
    assert 0 < len(made) == report["questions"] <= 12
    assert "geheim" not in "".join(
        file.read_text(encoding="utf-8", errors="replace") for file in out.iterdir()
    )


def test_an_answer_that_is_no_json_is_asked_for_again_and_counted(serve, wiki, tmp_path):
    server, path = serve(lambda n, body: "죄송합니다." if n % 2 else good(n, body))
    found = list(read_passages(wiki))
    drafts, told = generate_with_teacher(found, read_teacher(str(path)), tmp_path, 0, 3)
    assert len(drafts) == 3
    assert len(server.bodies) == 6
    assert sum(told["errors"].values()) == 3
    assert told["input_tokens"] == 600


def test_a_wrong_number_or_too_few_choices_never_become_a_question(serve, wiki, tmp_path):
    faulty = page({"messages": [{"content": "글: 하나 둘."}]})
    faulty["questions"][0]["answer"] = 7
    server, path = serve(lambda *_: json.dumps(faulty), retries=0)
    found = list(read_passages(wiki))[:4]
    drafts, told = generate_with_teacher(found, read_teacher(str(path)), tmp_path, 0, 3)
    assert drafts == []
    assert told["passages_without_a_valid_response"] == 4 == len(server.bodies)


def test_a_killed_run_asks_for_no_passage_twice(serve, wiki, tmp_path):
    server, path = serve(lambda n, body: 500 if n > 3 else good(n, body), retries=0)
    found = list(read_passages(wiki))
    with pytest.raises(UserError, match="500"):
        generate_with_teacher(found, read_teacher(str(path)), tmp_path, 0, 5)
    with (tmp_path / CALLS).open("ab") as file:
        file.write('{"passage_id": "반'.encode()[:-1])  # killed inside a character
    server.say = good
    drafts, _ = generate_with_teacher(found, read_teacher(str(path)), tmp_path, 0, 5)
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert len(drafts) == 5
    assert len(set(asked)) == 5
    assert len(asked) == 6  # the failed one again
    assert generate_with_teacher(found, read_teacher(str(path)), tmp_path, 0, 5)[0] == drafts
    assert len(server.bodies) == 6  # nor does the line cut short cost the next one


def test_a_refused_key_is_told_at_once(serve, wiki, tmp_path):
    server, path = serve(lambda *_: 401)
    with pytest.raises(UserError, match=r"401[\s\S]*OPENAI_API_KEY"):
        generate_with_teacher(
            list(read_passages(wiki)), read_teacher(str(path)), tmp_path, 0, 5
        )
    assert len(server.bodies) == 1


def test_a_teacher_without_limit_or_with_another_variable_is_refused(
    serve, wiki, embedded, tmp_path
):
    _, path = serve(good)
    with pytest.raises(UserError, match="--limit"):
        questions(
            wiki,
            embedded / "test.csv",
            [],
            tmp_path / "x",
            limit=None,
            seed=0,
            teacher=str(path),
        )
    _, other = serve(good, api_key_variable="PATH")
    with pytest.raises(UserError, match="api_key_variable"):
        read_teacher(str(other))


def test_a_judge_keeps_what_it_finds_in_the_passage(wiki, embedded, tmp_path):
    model = ModelReference(model=str(embedded / "models" / "tiny-l"), dtype="float32")
    judge = Judge(model, load_prompt("embedded"))
    report = questions(
        wiki, embedded / "test.csv", [], tmp_path / "out", limit=None, seed=0, judge=judge
    )
    removed = report["rejected"]["the judge does not find the answer in the passage"]
    assert removed > 50
    assert report["questions"] > 200
