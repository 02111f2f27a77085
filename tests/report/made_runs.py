"""Runs made up for the tests, in the files that explore and finetune write."""

import json
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from solution.core import sha256_file
from solution.exam import (
    AnswerKey,
    Question,
    public_private_split,
    write_answer_key,
    write_exam,
)
from solution.scoring import ChoiceScores, write_predictions


def questions_of(count: int, *, words: int = 30, seed: int = 0) -> tuple[Question, ...]:
    """Questions of made-up Korean words; two share each passage."""
    rng = random.Random(seed)
    syllables = [
        chr(0xAC00 + 28 * rng.randrange(399) + rng.choice([0, 4, 8])) for _ in range(500)
    ]
    lexicon = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(3000)]

    def text(length: int) -> str:
        return " ".join(rng.choices(lexicon, k=length))

    passages = [text(words) + "." for _ in range((count + 1) // 2)]
    return tuple(
        Question(
            id=f"made-{number:04d}",
            paragraph=passages[number // 2],
            question=f"{text(5)} 것은?",
            choices=tuple(text(3) for _ in range(4 + number % 2)),
            answer=rng.randint(1, 4),
            subject=("국어", "사회")[number % 2],
            source="made",
        )
        for number in range(count)
    )


def scored_of(questions: tuple[Question, ...], skill: float, seed: int) -> list[ChoiceScores]:
    """Answers that are right with probability `skill`, and probabilities to match."""
    rng = random.Random(seed)
    rows = []
    for question in questions:
        choices = range(1, len(question.choices) + 1)
        right = question.answer or 1
        answer = (
            right if rng.random() < skill else rng.choice([c for c in choices if c != right])
        )
        weights = [rng.random() + (1.5 if c == answer else 0) for c in choices]
        chances = tuple(weight / sum(weights) for weight in weights)
        best, second = sorted(chances, reverse=True)[:2]
        rows.append(ChoiceScores(question.id, chances, chances, answer, best - second))
    return rows


@dataclass
class Bench:
    """A folder of runs that a test fills."""

    root: Path
    suite: Path = field(init=False)

    def __post_init__(self) -> None:
        self.suite = self.root / "explore" / "made"

    def explored(self, questions, skills: dict[str, float], board: str = "") -> Path:
        """One run a model, the exam and key beside them, and a leaderboard of `board` rows."""
        usage = public_private_split([q.id for q in questions])
        self.suite.mkdir(parents=True, exist_ok=True)
        write_exam(self.suite / "exam.csv", questions)
        key = {q.id: q.answer for q in questions}
        write_answer_key(self.suite / "solution.csv", AnswerKey(key, usage))
        for seed, (name, skill) in enumerate(skills.items()):
            metrics = {
                "questions_per_second": 50.0 / (seed + 1),
                "peak_memory_gib": 0.5 * (seed + 1),
                "parameters": 10**6 * (seed + 1),
                "exam": "made.csv",
            }
            config = {
                "model": {"model": name},
                "weights": {"model": name},
                "prompt": {"name": "contest"},
            }
            folder = self.suite / name.replace("/", "__")
            self.write(folder, config, metrics, scored_of(questions, skill, seed))
        if board:
            (self.suite / "leaderboard.csv").write_text(board, encoding="utf-8")
        return self.suite

    def tuned(self, questions, skill: float, base: str, *, known: bool = True) -> Path:
        """A fine-tuning of the model `base`, answering the same questions."""
        data = self.root / "data"
        data.mkdir(exist_ok=True)
        write_exam(data / "test.csv", [replace(q, answer=None) for q in questions])
        key = {q.id: q.answer for q in questions}
        write_answer_key(data / "key.csv", AnswerKey(key, public_private_split(list(key))))
        files = {"test": data / "test.csv"} | ({"solution": data / "key.csv"} if known else {})
        config = {
            "command": "finetune",
            "recipe": {"name": "made", "model": {"model": base}, "lora": {"r": 8}},
            "data": {
                **{name: str(path) for name, path in files.items()},
                "sha256": {name: sha256_file(path) for name, path in files.items()},
            },
            "prompt": {"name": "contest"},
            "weights": {"model": base},
        }
        steps = range(1, 41)
        metrics = {
            "before": {"validation": 0.3, "test": {"overall": 0.31, "public": 0.3}},
            "after": {"validation": 0.6, "test": {"overall": 0.62, "public": 0.6}},
            "training": {
                "loss": [{"step": s, "loss": 2 / s, "learning_rate": 1e-4} for s in steps],
                "validation": [
                    {"step": s, "accuracy": 0.3 + s / 100, "loss": 1.0}
                    for s in (10, 20, 30, 40)
                ],
                "best_step": 30,
                "steps": 40,
                "trainable_parameters": 12345,
                "training_seconds": 90.0,
                "peak_memory_gib": 2.0,
            },
        }
        folder = self.root / "finetune" / "made"
        self.write(folder, config, metrics, scored_of(questions, skill, 99))
        return folder

    def write(self, folder: Path, config, metrics, scored) -> None:
        folder.mkdir(parents=True)
        text = yaml.safe_dump(config, allow_unicode=True)
        (folder / "config.yaml").write_text(f"# fingerprint: made\n{text}", encoding="utf-8")
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        write_predictions(folder / "predictions.parquet", scored, {})
