"""A tiny model, an exam whose answer is always 2, a prompt and a recipe, in one folder."""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tiny import save_tiny

from solution.exam import (
    AnswerKey,
    Question,
    public_private_split,
    write_answer_key,
    write_exam,
)

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["산", "강", "바다", "나무", "구름", "돌다리", "편지", "등대"]
PROMPT = {
    "name": "short",
    "user": {"paragraph": "$paragraph", "question": "$question $choices"},
}
RECIPE = {
    "name": "tiny",
    "model": {"model": "model", "dtype": "float32", "max_length": 256},
    "prompt": "prompt.yaml",
    "data": {
        "train": "train.csv",
        "test": "test.csv",
        "solution": "solution.csv",
        "validation_fraction": 0.2,
    },
    # Dropout draws random numbers, so a resumed training has to restore the generator's state.
    "lora": {"r": 8, "alpha": 16, "dropout": 0.1, "use_rslora": True},
    "train": {
        "epochs": 4,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 0.02,
        "eval_steps": 4,
        "save_steps": 3,
        "patience": 100,
        "shuffle_choices": False,
    },
}


def make_questions(number: int, prefix: str, seed: int) -> list[Question]:
    rng = random.Random(seed)
    return [
        Question(
            id=f"{prefix}{i:03d}",
            paragraph=" ".join(rng.choices(WORDS, k=12)),
            question="알맞은 것은?",
            choices=tuple(rng.sample(WORDS, 4)),
            answer=2,
            subject="국어" if i % 2 else "사회",
        )
        for i in range(number)
    ]


class World:
    """A working directory for whole runs of the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        save_tiny(folder / "model")
        (folder / "prompt.yaml").write_text(yaml.safe_dump(PROMPT), encoding="utf-8")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
        write_exam(folder / "train.csv", make_questions(80, "train", seed=1))
        test = make_questions(24, "test", seed=2)
        write_exam(folder / "test.csv", [replace(q, answer=None) for q in test])
        answers = {q.id: 2 for q in test}
        write_answer_key(
            folder / "solution.csv", AnswerKey(answers, public_private_split(list(answers)))
        )

    def copy(self, folder: Path) -> "World":
        """The same inputs elsewhere, without any run."""
        shutil.copytree(
            self.folder, folder, ignore=shutil.ignore_patterns("runs", "submissions")
        )
        other = object.__new__(World)
        other.folder = folder
        return other

    def start(self, *arguments: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "solution",
                "finetune",
                "--recipe",
                "recipe.yaml",
                *arguments,
            ],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "finetune" / "tiny"

    @property
    def checkpoints(self) -> list[Path]:
        """The whole checkpoints of a run that is being made."""
        markers = self.run.parent.glob(".tiny.*.work/checkpoints/checkpoint-*/complete.json")
        return [marker.parent for marker in markers]

    def metrics(self) -> dict:
        return json.loads((self.run / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory) -> World:
    """Inputs that nothing is run on; copy it."""
    return World(tmp_path_factory.mktemp("world") / "inputs")
