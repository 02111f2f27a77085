"""Ensembles: what they gain on runs of known correlation; nothing leaks into weights."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy
import pytest
from scipy.stats import norm

from solution.cli import main
from solution.core import UserError
from solution.exam import Question, content_hash, read_exam, write_exam
from solution.scoring import ChoiceScores, average, read_predictions, trained, write_predictions
from solution.submit.ensemble import agreement, second_look
from solution.submit.weights import gain, greedy, learn, stack

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


def accuracy(scored, answers):
    return sum(one.answer - 1 == a for one, a in zip(scored, answers, strict=True)) / len(
        scored
    )


def test_mixing_logarithms_gains_what_the_correlation_allows():
    tables, answers = runs([1.0] * 5, correlation=0.3)
    single = norm.cdf(SKILL)
    best = norm.cdf(SKILL / math.sqrt(0.3 + 0.7 / 5))
    mixed = average(tables, [0.2] * 5, "log-probabilities")
    error = 3 * math.sqrt(0.25 / ROWS)
    assert accuracy(tables[0], answers) == pytest.approx(single, abs=error)
    assert accuracy(mixed, answers) == pytest.approx(best, abs=error)
    assert best - single > 2 * error


def test_learnt_weights_reach_the_best_that_weights_can():
    spreads = [1.0, 1.5, 3.0, 6.0]
    tables, answers = runs(spreads, correlation=0.2)
    given = stack(tables, "log-probabilities")
    weights = learn(given, answers, "log-probabilities")
    precise = numpy.array([1 / spread**2 for spread in spreads])
    assert weights / weights.sum() == pytest.approx(precise / precise.sum(), abs=0.05)
    won = gain(given, answers, range(ROWS), lambda g, a: learn(g, a, "log-probabilities"))
    spread = math.sqrt(0.2 + 0.8 / precise.sum())
    expected = norm.cdf(SKILL / spread) - norm.cdf(SKILL / 1.0)
    assert won.low < expected < won.high
    assert won.low > 0


@pytest.mark.parametrize("how", ["probabilities", "log-probabilities", "votes"])
def test_a_run_that_only_guesses_gets_hardly_any_weight(how):
    tables, answers = runs([1.0, 1.0], correlation=0.3)
    noise = numpy.random.default_rng(5).random(ROWS)
    guesses = [row(one.id, (p, 1 - p)) for one, p in zip(tables[0], noise, strict=True)]
    weights = learn(stack([*tables, guesses], how), answers, how)
    share = weights / weights.sum()
    assert share.min() == share[2] < 0.2 < share[:2].min()


def test_greedy_selection_takes_the_run_that_adds_and_leaves_the_copy():
    tables, answers = runs([1.0, 1.0, 4.0], correlation=0.1)
    weights = greedy(stack([*tables, tables[0]], "probabilities"), answers, "probabilities")
    assert weights[0] + weights[3] == pytest.approx(weights[1], abs=0.2)
    assert weights.sum() == pytest.approx(1)


def test_gain_of_runs_that_are_one_and_the_same_is_nothing():
    tables, answers = runs([1.0], correlation=0.0, number=200)
    given = stack([tables[0], tables[0]], "probabilities")
    won = gain(given, answers, range(200), lambda g, a: learn(g, a, "probabilities"))
    assert (won.difference, won.low, won.high) == (0, 0, 0)


def test_votes_count_and_a_tie_goes_to_the_first_sources_choice():
    one, two, three = row("a", (0.2, 0.7, 0.1)), row("a", (0.8, 0.1, 0.1)), row("a", (1, 0, 0))
    assert average([[one], [two]], [0.5, 0.5], "votes")[0].answer == 2
    assert average([[two], [one]], [0.5, 0.5], "votes")[0].answer == 1
    assert average([[one], [two], [three]], [1, 1, 1], "votes")[0].answer == 1
    mixed = average([[one], [two]], [3, 1], "probabilities")[0]
    assert mixed.probability == pytest.approx((0.35, 0.55, 0.1))


def test_predictions_of_other_questions_are_not_averaged():
    with pytest.raises(UserError, match="same ids"):
        average([[row("a", (0.5, 0.5))], [row("b", (0.5, 0.5))]], [1, 1], "votes")


def test_the_second_answers_only_where_the_first_is_unsure():
    sure, unsure = row("a", (0.9, 0.1)), row("b", (0.51, 0.49))
    mixed, looked = second_look([sure, unsure], [row("a", (0, 1)), row("b", (0, 1))], 0.1)
    assert ([one.answer for one in mixed], looked) == ([1, 2], 1)


def test_agreement_is_the_share_of_equal_answers():
    tables = [[row("a", (1, 0)), row("b", (1, 0))], [row("a", (1, 0)), row("b", (0, 1))]]
    assert agreement(tables) == [[1.0, 0.5], [0.5, 1.0]]


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


def test_an_ensemble_lands_as_a_valid_submission(here, capsys):
    assert mix("--out", "submissions/mix") == 0
    assert "same answer" in capsys.readouterr().out
    folder = here.folder / "submissions" / "mix"
    scored = read_predictions(folder / "predictions.parquet")
    assert [one.id for one in scored] == [q.id for q in here.test]
    members = json.loads((folder / "ensemble.json").read_text())["members"]
    assert [member["weight"] for member in members] == [0.5, 0.5]
    file = str(folder / "submission.csv")
    assert main(["submit", "validate", file, "--exam", "test.csv"]) == 0
    assert "Trained on 40 rows: none of the test" in capsys.readouterr().out


@pytest.mark.parametrize("weights", ["learn", "greedy"])
@pytest.mark.parametrize("how", ["probabilities", "log-probabilities", "votes"])
def test_weights_are_learnt_on_out_of_fold_predictions(here, capsys, weights, how):
    assert mix("--weights", weights, "--how", how, "--train", "train.csv") == 0
    assert "95 %" in capsys.readouterr().out


def test_in_fold_predictions_are_refused_with_their_rows(here, capsys):
    save(here.folder / "one" / "oof.parquet", here.train, here.rng, trained(here.train))
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    told = capsys.readouterr().err
    assert "t0: in-fold" in told and "40 problems" in told
    assert not (here.folder / "submissions").exists()


def test_a_training_row_under_another_id_is_found(here, capsys):
    rows = trained([replace(here.train[7], id="copy", choices=("나", "가"))])
    save(here.folder / "two" / "oof.parquet", here.train, here.rng, rows)
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "t7: in-fold" in capsys.readouterr().err


def test_a_row_that_two_folds_hold_is_refused(here, capsys):
    rows = [entry._replace(fold=0) for entry in trained(here.train)]
    rows.append(rows[3]._replace(fold=1))
    save(here.folder / "two" / "oof.parquet", here.train, here.rng, rows)
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "t3: in-fold" in capsys.readouterr().err


def test_predictions_that_do_not_say_are_refused_for_weights(here, capsys):
    path = here.folder / "two" / "oof.parquet"
    write_predictions(path, read_predictions(path), {"model": "x"})
    assert mix("--weights", "learn", "--train", "train.csv") == 2
    assert "does not say what its model was trained on" in capsys.readouterr().err


def test_a_plain_csv_votes_but_teaches_no_weights(here, capsys):
    assert mix("--out", "submissions/mix") == 0
    csv = ["submissions/mix/submission.csv"]
    for more, status in (("votes", 0), ("probabilities", 0), ("log-probabilities", 2)):
        assert mix("--how", more, csv=csv) == status
    assert mix("--weights", "learn", "--train", "train.csv", csv=csv) == 2
    assert "a CSV does not say" in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["3", "1,x", "0,0", "-1,2", "nan,1", "inf,1"])
def test_weights_that_make_no_average_are_refused(here, capsys, weights):
    assert mix(f"--weights={weights}") == 2
    assert "expected equal, learn, greedy or 2 numbers" in capsys.readouterr().err


def test_votes_of_real_submissions(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = shared_data / "competition"
    files = [place / "sample_outputs" / f"output_{n}.csv" for n in ("5829", "gemma_baseline")]
    ones = place / "sample_outputs" / "output_all_ones.csv"
    exam = str(place / "test.csv")
    many = ["submit", "ensemble", "--how=votes", "--exam", exam, "--"]
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
