"""The results that lm-evaluation-harness's own tools read."""

import json

import pytest


@pytest.fixture(scope="module")
def written(first):
    folder = first.out / "harness" / "a"
    results, samples = next(folder.glob("results_*.json")), next(folder.glob("samples_*.jsonl"))
    lines = samples.read_text(encoding="utf-8").splitlines()
    return json.loads(results.read_text()), [json.loads(line) for line in lines], samples


def test_the_harness_makes_its_table_of_our_results(first, written):
    utils = pytest.importorskip("lm_eval.utils")
    results, _, samples = written
    table = utils.make_table(results)
    metrics = json.loads((first.out / "a" / "metrics.json").read_text())
    assert f"{round(metrics['accuracy'], 4)}|" in table and "|exam |" in table
    assert utils.get_sample_results_filenames([str(samples)]) == [str(samples)]
    assert utils.get_file_task_name(samples.name) == "exam"


def test_every_question_has_its_line_with_the_likelihood_of_each_choice(first, written):
    from solution.scoring import read_predictions

    results, lines, _ = written
    scored = read_predictions(first.out / "a" / "predictions.parquet")
    assert [line["doc"]["id"] for line in lines] == [one.id for one in scored]
    for line, one in zip(lines, scored, strict=True):
        assert [float(reply[0]) for reply in line["filtered_resps"]] == list(one.log_likelihood)
        assert line["filtered_resps"][one.answer - 1][1] == "True"
        assert line["acc"] == float(int(line["target"]) + 1 == one.answer)
    mean = sum(line["acc"] for line in lines) / len(lines)
    assert results["results"]["exam"]["acc,none"] == pytest.approx(mean)
    assert results["n-samples"]["exam"] == {"original": 150, "effective": 150}


def test_candidates_without_a_score_have_no_results(first):
    assert {path.name for path in (first.out / "harness").iterdir()} == {"a", "b"}
