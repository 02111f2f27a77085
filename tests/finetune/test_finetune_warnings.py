"""What is said below the table of a fine-tuning where its accuracies say little."""

import json

from solution.exam import Question
from solution.finetune.evaluate import before_after_table, warnings
from solution.scoring import ChoiceScores


def exam(key, answers):
    questions = [
        Question(f"q{i}", "", "?", ("a", "b", "c", "d"), answer=one)
        for i, one in enumerate(key)
    ]
    share = (0.25,) * 4
    scored = [ChoiceScores(f"q{i}", share, share, one, 0.0) for i, one in enumerate(answers)]
    return scored, questions


def test_constant_answers_baselines_and_few_questions_are_said():
    assert warnings("test", *exam([1, 2, 3, 4] * 30, [1] * 120)) == [
        "test: answer 1 to 100% of the questions",
        "test: no better than always answering 1 (0.2500)",
    ]
    assert warnings("test", *exam([1, 2, 3, 4] * 30, [1, 2, 3, 1] * 30)) == []
    [few] = warnings("validation", *exam([1, 2, 3, 4] * 4, [1, 2, 3, 1] * 4))
    assert few == "validation: only 16 questions, so ±21 points by chance"
    assert warnings("test", *exam([None] * 4, [1] * 4)) == []


def test_they_are_printed_below_the_table(tmp_path):
    accuracy = {"validation": 0.5, "test": {"overall": 0.25}}
    metrics = {"before": accuracy, "after": accuracy, "warnings": ["test: only 4 questions"]}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert before_after_table(tmp_path).endswith("\n\ntest: only 4 questions")
