"""Candidates that answer in words, and suites that ask in several orders, from end to end."""

import csv
import json
import shutil

import pytest
import yaml

from solution.cli import main
from solution.exam import load_prompt, read_exam, write_exam
from solution.explore import worker
from solution.explore.job import ExamCell, Job, without_answers
from solution.models import ModelReference, load
from solution.scoring import GenerationConfig, encode, read_predictions, score

HOW, COUNT = GenerationConfig(max_new_tokens=6), 40


@pytest.fixture(scope="module")
def concise(embedded, tmp_path_factory):
    """The smallest embedded model, taught to end its text behind the answer it prefers."""
    import torch

    folder = tmp_path_factory.mktemp("concise") / "model"
    loaded = load(ModelReference(model=str(embedded / "models" / "tiny-s"), dtype="float32"))
    model, end = loaded.model.requires_grad_(True), loaded.tokenizer.eos_token_id
    questions = read_exam(embedded / "test.csv").questions[:COUNT]
    encoded = encode(questions, load_prompt("embedded"), loaded.chat, 1024)
    rows = [
        [*one.prompt_ids, *one.label_ids[scored.answer - 1], end]
        for one, scored in zip(encoded, score(loaded, encoded), strict=True)
    ]
    width = max(map(len, rows))
    ids = torch.tensor([row + [end] * (width - len(row)) for row in rows])
    ends = torch.tensor([[len(row) - 2, len(row) - 1] for row in rows])
    labels = torch.full_like(ids, -100).scatter(1, ends, ids.gather(1, ends))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def a_job(embedded, model, place, generation=HOW, count=COUNT):
    questions = read_exam(embedded / "test.csv").questions[:count]
    cell = ExamCell(
        name="embedded",
        path=place,
        prompt=load_prompt("embedded"),
        questions=without_answers(questions),
        generation=generation,
    )
    return Job(
        name="tiny",
        path=place,
        reference=ModelReference(model=str(model), dtype="float32"),
        cells=(cell,),
        batch_tokens=4096,
    )


def attempt(job):
    job.path.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as stream:
        return worker.attempt(job, stream)


def moved(job, path, **changes):
    """The same job with its run elsewhere."""
    cell = job.cells[0].model_copy(update={"path": path} | changes)
    return job.model_copy(update={"path": path, "cells": (cell,)})


def lines(job):
    text = (job.path / "texts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def written(embedded, concise, tmp_path_factory):
    """A whole run of a model that has learnt to answer with a number."""
    job = a_job(embedded, concise, tmp_path_factory.mktemp("w") / "out" / "tiny")
    assert attempt(job) == ""
    return job


def test_a_model_that_answers_with_numbers_is_read_and_agrees_with_its_probabilities(
    written, concise, embedded, tmp_path
):
    metrics = json.loads((written.path / "metrics.json").read_text())
    assert metrics["texts"] == 40 and metrics["fallback_rows"] <= 4
    texts = lines(written)
    assert [one["id"] for one in texts] == [q.id for q in written.cells[0].questions]
    counts = [sum(one["outcome"] == o for one in texts) for o in ("unparsed", "refused")]
    assert counts == [metrics["unparsed"], metrics["refused"]]
    job = a_job(embedded, concise, tmp_path / "out" / "tiny", generation=None)
    assert attempt(job) == ""
    by_words, by_numbers = (
        [row.answer for row in read_predictions(j.path / "predictions.parquet")]
        for j in (written, job)
    )
    same = sum(a == b for a, b in zip(by_words, by_numbers, strict=True))
    assert same >= 38


def test_a_run_that_was_broken_off_goes_on_and_gives_the_same(written, tmp_path, monkeypatch):
    from solution.explore import generative

    job = moved(written, tmp_path / "out" / "tiny")
    calls, generate = [], generative.generate

    def breaks(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("stopped")
        return generate(*arguments)

    monkeypatch.setattr(generative, "generate", breaks)
    assert "stopped" in attempt(job)
    assert not job.path.exists()
    assert attempt(job) == ""
    assert len(calls) == 4, "the first chunk of three was not generated again"
    texts = [(j.path / "texts.jsonl").read_bytes() for j in (job, written)]
    assert texts[0] == texts[1]
    rows = [read_predictions(j.path / "predictions.parquet") for j in (job, written)]
    assert rows[0] == rows[1]


def test_texts_once_written_are_kept_for_another_exam(written, tmp_path, monkeypatch):
    folder = shutil.copytree(written.path.parent, tmp_path / "out")
    job = moved(written, folder / "other", questions=written.cells[0].questions[:16])
    monkeypatch.setattr("solution.explore.generative.generate", None)
    assert attempt(job) == ""
    assert [one["text"] for one in lines(job)] == [one["text"] for one in lines(written)[:16]]


def test_rows_without_an_answer_fall_back_on_probability(world, tmp_path):
    """Random weights write nonsense; three samples a question are drawn and voted upon."""
    write_exam(world.folder / "ten.csv", world.questions[:10])
    how = {"max_new_tokens": 4, "samples": 3, "temperature": 1.0}
    babbler = {"name": "babbler", "model": str(world.folder / "a"), "scorer": "generate"}
    suite = world.suite("words", [babbler | {"generation": how}])
    done = world.run(suite, tmp_path / "out", "--exam", str(world.folder / "ten.csv"))
    assert done.status == 0, done.stderr
    with (tmp_path / "out" / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert int(row["unparsed"]) + int(row["cut_off"]) + int(row["refused"]) >= 25
    assert int(row["fallback_rows"]) >= 5 and row["status"] == "scored"
    assert "unparsed/cut off/refused" in done.stdout


def test_orders_of_the_choices_reach_leaderboard_and_metrics(world, tmp_path):
    write_exam(world.folder / "ten.csv", world.questions[:10])
    published = {"public": 0.6, "private": 0.2, "source": "x"}
    entry = {"name": "a", "model": str(world.folder / "a"), "published": published}
    exam = ["--exam", str(world.folder / "ten.csv")]
    suite = world.suite("orders", [entry, "b"])
    done = world.run(suite, tmp_path / "out", *exam, "--permutations", "4")
    assert done.status == 0, done.stderr
    with (tmp_path / "out" / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["model"]: row for row in csv.DictReader(stream)}
    assert 0 <= float(rows["a"]["order_changes"]) <= 1
    assert sum(map(int, rows["a"]["order_positions"].split("/"))) == 40
    assert "Positions over all orders: key" in done.stdout and "p (Holm)" in done.stdout
    assert 0 < float(rows["a"]["p_published"]) <= 1
    assert any(row["p_best_holm"] for row in rows.values())
    metrics = json.loads((tmp_path / "out" / "a" / "metrics.json").read_text())
    assert metrics["orders"] == 40
    assert f"{metrics['order_changes']:.6f}" == rows["a"]["order_changes"]
    debiased = world.run(suite, tmp_path / "out", *exam, "--debias", "pride")
    assert debiased.status == 0, debiased.stderr
    prior = json.loads((tmp_path / "out" / "a" / "metrics.json").read_text())["position_prior"]
    assert all(sum(shares) == pytest.approx(1) for shares in prior.values())


def words(**more):
    return {"name": "a", "model": "some/model", "scorer": "generate"} | more


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"permutations": 0}, ["permutations", "from 1 to 120"]),
        ({"permutations": "many"}, ["permutations"]),
        ({"permutation": 3}, ["permutation", "unknown key", "permutations"]),
        ({"debias": "pryde"}, ["debias", "pride"]),
        ({"debias": "pride", "permutations": 3}, ["exclude each other"]),
        ({"candidates": [words()], "permutations": 3}, ["a: scorer generate", "own order"]),
        ({"candidates": [words(scorer="guess")]}, ["scorer", "generate"]),
        ({"candidates": [words(generation={"budget": 3})]}, ["generation.budget", "unknown"]),
        ({"candidates": [words(generation={"max_new_tokens": 0})]}, ["max_new_tokens"]),
        ({"candidates": [words(generation={"samples": 5})]}, ["set temperature"]),
        (
            {"candidates": [words(scorer="probability", generation={"samples": 1})]},
            ["no effect without scorer: generate"],
        ),
    ],
)
def test_faulty_options_are_named(changes, parts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    suite = {
        "name": "mine",
        "exams": [{"name": "e", "exam": "exam.csv"}],
        "candidates": [{"name": "a", "model": "some/model"}],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(suite | changes, allow_unicode=True))
    assert main(["explore", "--suite", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_budget_beyond_the_models_length_is_named(embedded, tmp_path):
    model, long = embedded / "models" / "tiny-s", GenerationConfig(max_new_tokens=8100)
    job = a_job(embedded, model, tmp_path / "out" / "tiny", long, count=2)
    assert "max_new_tokens: 8100 leaves no room" in attempt(job)
