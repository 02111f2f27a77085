"""Ensembles: gain on runs of known correlation; no training row leaks into weights."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy
import pytest
from scipy.stats import norm

from solution.cli import main
from solution.core import UserError, read_jsonl, sha256_file
from solution.exam import (
    AnswerKey,
    Question,
    content_hash,
    public_private_split,
    read_exam,
    write_answer_key,
    write_exam,
)
from solution.scoring import (
    ChoiceScores,
    average_predictions,
    read_predictions,
    read_produced_by,
    trained,
    write_predictions,
)
from solution.submit.ensemble import apply_fallback
from solution.submit.log import HISTORY
from solution.submit.weights import fit_weights, measure_gain, stack

ROWS = 4000
SKILL = 0.5


def row(id, share):
    best, *others = sorted(share, reverse=True)
    logarithms = tuple(math.log(max(one, 1e-300)) for one in share)
    answer = max(range(len(share)), key=lambda i: share[i]) + 1
    return ChoiceScores(id, logarithms, tuple(share), answer, best - others[0])


def runs(spreads, correlation, number=ROWS, seed=0):
    """Two-choice runs whose log-odds for the right choice are SKILL + correlated noise."""
    rng = numpy.random.default_rng(seed)
    answers = rng.integers(0, 2, number)
    shared = math.sqrt(correlation) * rng.standard_normal(number)
    tables = []
    for spread in spreads:
        noise = shared + math.sqrt(1 - correlation) * spread * rng.standard_normal(number)
        right = 1 / (1 + numpy.exp(-(SKILL + noise)))
        pairs = [
            (p, 1 - p) if a == 0 else (1 - p, p) for p, a in zip(right, answers, strict=True)
        ]
        tables.append([row(str(i), pair) for i, pair in enumerate(pairs)])
    return tables, answers


def test_fitted_weights_bring_a_gain_and_prefer_the_more_precise_runs():
    tables, answers = runs([1.0, 1.0, 3.0], correlation=0.2)
    stacked = stack(tables)
    weights = fit_weights(stacked, answers)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx(weights[1], abs=0.05)
    assert weights[2] < weights[0] / 2
    gain = measure_gain(stacked, answers, range(ROWS))
    assert gain.best == pytest.approx(norm.cdf(SKILL), abs=0.025)
    assert 0 < gain.low < norm.cdf(SKILL / math.sqrt(0.2 + 0.8 / 2)) - gain.best < gain.high


@pytest.mark.parametrize("votes", [False, True])
def test_a_run_that_guesses_gets_hardly_any_weight(votes):
    tables, answers = runs([1.0, 1.0], correlation=0.3)
    noise = numpy.random.default_rng(5).random(ROWS)
    guesses = [row(one.id, (p, 1 - p)) for one, p in zip(tables[0], noise, strict=True)]
    weights = fit_weights(stack([*tables, guesses], votes=votes), answers)
    assert weights.min() == weights[2] < 0.2 < weights[:2].min()


def test_the_gain_of_two_equal_runs_is_zero():
    tables, answers = runs([1.0], correlation=0.0, number=200)
    gain = measure_gain(stack([tables[0], tables[0]]), answers, range(200))
    assert (gain.ensemble - gain.best, gain.low, gain.high) == (0, 0, 0)


def test_a_tie_of_votes_goes_to_the_first_source():
    one, two, three = row("a", (0.2, 0.7, 0.1)), row("a", (0.8, 0.1, 0.1)), row("a", (1, 0, 0))
    assert average_predictions([[one], [two]], [0.5, 0.5], "votes")[0].answer == 2
    assert average_predictions([[two], [one]], [0.5, 0.5], "votes")[0].answer == 1
    assert average_predictions([[one], [two], [three]], [1, 1, 1], "votes")[0].answer == 1
    mixed = average_predictions([[one], [two]], [3, 1], "probabilities")[0]
    assert mixed.probability == pytest.approx((0.35, 0.55, 0.1))


def test_predictions_of_other_questions_are_not_averaged():
    with pytest.raises(UserError, match="same ids"):
        average_predictions([[row("a", (0.5, 0.5))], [row("b", (0.5, 0.5))]], [1, 1], "votes")


def test_the_fallback_answers_only_below_the_margin():
    sure, unsure = row("a", (0.9, 0.1)), row("b", (0.51, 0.49))
    mixed, replaced = apply_fallback([sure, unsure], [row("a", (0, 1)), row("b", (0, 1))], 0.1)
    assert ([one.answer for one in mixed], replaced) == ([1, 2], 1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A train and a test exam, and two runs with predictions of both."""
    monkeypatch.chdir(tmp_path)
    train = [Question(f"t{i}", f"글 {i}", "?", ("가", "나"), i % 2 + 1) for i in range(40)]
    test = [Question(f"x{i}", f"새 글 {i}", "?", ("가", "나")) for i in range(6)]
    write_exam(tmp_path / "train.csv", train)
    write_exam(tmp_path / "test.csv", test)
    rng = numpy.random.default_rng(2)
    for run in ("one", "two"):
        rows = [q for q in trained(train)]
        folds = [entry._replace(fold=i % 4) for i, entry in enumerate(rows)]
        save(tmp_path / run / "predictions.parquet", test, rng, rows)
        save(tmp_path / run / "oof.parquet", train, rng, folds)
    return SimpleNamespace(folder=tmp_path, train=train, test=test, rng=rng)


def save(path, questions, rng, rows):
    noisy = [0.2 + 0.6 * rng.random() for _ in questions]
    write_predictions(
        path,
        [row(q.id, (p, 1 - p)) for q, p in zip(questions, noisy, strict=True)],
        {"trained_on": rows},
    )


def mix(*more, csv=()):
    return main(["submit", "ensemble", "--exam=test.csv", *more, "--", "one", "two", *csv])


def test_the_fallback_is_recorded_with_its_count(here, capsys):
    assert mix("--fallback", "two/predictions.parquet", "--fallback-margin", "2") == 0
    assert "two answers 6 questions with a margin below 2." in capsys.readouterr().out
    ours, theirs = (
        read_predictions(here.folder / path / "predictions.parquet")
        for path in ("submissions/ensemble", "two")
    )
    assert [one.answer for one in ours] == [one.answer for one in theirs]


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_a_key_of_other_ids_is_an_error_that_names_them(here, capsys, change):
    ids = {q.id: 1 for q in here.test}
    ids = ids | {"x9": 1} if change == "extra" else {id: 1 for id in ids if id != "x5"}
    usage = public_private_split(list(ids))
    write_answer_key(here.folder / "key.csv", AnswerKey(ids, usage))
    assert mix("--solution", "key.csv") == 2
    assert ("x9: " if change == "extra" else "x5: ") in capsys.readouterr().err
    assert not (here.folder / "submissions").exists()


def test_a_mix_from_its_own_folder_records_the_hash_of_what_was_read(here):
    assert mix() == 0
    own = here.folder / "submissions" / "ensemble"
    before = sha256_file(own / "predictions.parquet")
    assert mix("--weights=1,1,3", csv=["submissions/ensemble"]) == 0
    assert sha256_file(own / "predictions.parquet") != before
    assert read_jsonl(HISTORY)[-1]["sources"][-1]["sha256"] == before


def test_an_ensemble_lands_as_a_valid_submission(here, capsys):
    assert mix("--out", "submissions/mix") == 0
    assert "same answer" in capsys.readouterr().out
    folder = here.folder / "submissions" / "mix"
    scored = read_predictions(folder / "predictions.parquet")
    assert [one.id for one in scored] == [q.id for q in here.test]
    members = read_produced_by(folder / "predictions.parquet")["members"]
    assert [weight for *_, weight in members] == [0.5, 0.5]
    file = str(folder / "submission.csv")
    assert main(["submit", "validate", file, "--exam", "test.csv"]) == 0
    assert "Trained on 40 rows: no test question" in capsys.readouterr().out


@pytest.mark.parametrize("weights", ["learn", "2,1"])
@pytest.mark.parametrize("combine", ["probabilities", "votes"])
def test_the_gain_is_measured_on_out_of_fold_predictions(here, capsys, weights, combine):
    assert mix("--weights", weights, "--combine", combine, "--train", "train.csv") == 0
    assert "95 %" in capsys.readouterr().out


def test_in_fold_predictions_are_refused_with_their_rows(here, capsys):
    save(here.folder / "one" / "oof.parquet", here.train, here.rng, trained(here.train))
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    message = capsys.readouterr().err
    assert "t0: in-fold" in message and "40 problems" in message
    assert not (here.folder / "submissions").exists()


def test_a_training_row_under_another_id_is_found(here, capsys):
    rows = trained([replace(here.train[7], id="copy", choices=("나", "가"))])
    save(here.folder / "two" / "oof.parquet", here.train, here.rng, rows)
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "t7: in-fold" in capsys.readouterr().err


def test_a_row_in_two_folds_is_refused(here, capsys):
    rows = [entry._replace(fold=0) for entry in trained(here.train)]
    rows.append(rows[3]._replace(fold=1))
    save(here.folder / "two" / "oof.parquet", here.train, here.rng, rows)
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "t3: in-fold" in capsys.readouterr().err


def test_predictions_without_recorded_training_data_fit_no_weights(here, capsys):
    path = here.folder / "two" / "oof.parquet"
    write_predictions(path, read_predictions(path), {"model": "x"})
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "does not record its model's training data" in capsys.readouterr().err


def test_a_plain_csv_votes_but_fits_no_weights(here, capsys):
    assert mix("--out", "submissions/mix") == 0
    csv = ["submissions/mix/submission.csv"]
    for combine in ("votes", "probabilities"):
        assert mix("--combine", combine, csv=csv) == 0
    given = [f"--oof={path}" for path in ("one/oof.parquet", "two/oof.parquet", "answers.csv")]
    (here.folder / "answers.csv").write_text(
        "id,answer\n" + "".join(f"{q.id},1\n" for q in here.train), encoding="utf-8"
    )
    assert mix("--weights", "learn", "--train", "train.csv", *given, csv=csv) == 2
    assert "does not record its model's training data" in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["3", "1,x", "0,0", "-1,2", "nan,1", "inf,1"])
def test_invalid_weights_are_refused(here, capsys, weights):
    assert mix(f"--weights={weights}") == 2
    assert "expected equal, learn or 2 comma-separated numbers" in capsys.readouterr().err


def test_votes_of_real_submissions(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = shared_data / "competition"
    files = [place / "sample_outputs" / f"output_{n}.csv" for n in ("5829", "gemma_baseline")]
    ones = place / "sample_outputs" / "output_all_ones.csv"
    exam = str(place / "test.csv")
    many = ["submit", "ensemble", "--combine=votes", "--exam", exam, "--"]
    many += map(str, [*files, ones])
    assert main(many) == 0
    assert "869 rows" in capsys.readouterr().out
    scored = read_predictions(tmp_path / "submissions" / "ensemble" / "predictions.parquet")
    questions = read_exam(place / "test.csv").questions
    assert len({content_hash(q) for q in questions}) == 869
    picks = [read_answers(path) for path in [*files, ones]]
    for one in scored:
        votes = [answers[one.id] for answers in picks]
        assert votes.count(one.answer) == max(map(votes.count, votes))
    bad = str(place / "sample_outputs" / "output_malformed_answers.csv")
    assert main([*many, bad]) == 2


def read_answers(path):
    lines = path.read_text(encoding="utf-8-sig").split()[1:]
    return {id: int(answer) for id, answer in (line.split(",") for line in lines)}
