"""A small exam, a prompt, two random models and models whose process dies, for whole runs."""

import contextlib
import importlib.util
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from solution.cli import main
from solution.exam import (
    AnswerKey,
    Question,
    public_private_split,
    write_answer_key,
    write_exam,
)

ROOT = Path(__file__).resolve().parents[2]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROMPT = {
    "name": "short",
    "user": {"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
}
DEATHS = {
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "crashed": "import ctypes; ctypes.string_at(0)",
    "broken": "raise KeyError('no such thing')",
    "hungry": "raise MemoryError",
}


def byte_tokenizer():
    """One token a byte, with Qwen's special tokens and chat form."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    fast.chat_template = CHAT
    return fast


def make_questions(number: int, seed: int = 0) -> list[Question]:
    rng = random.Random(seed)
    words = ["산", "강", "바다", "나무", "구름", "돌다리", "편지", "등대"]
    passages = [" ".join(rng.choices(words, k=rng.randint(4, 30))) for _ in range(number // 2)]
    return [
        Question(
            id=f"q{i:03d}",
            paragraph=passages[i % len(passages)],
            question="알맞은 것은?",
            choices=tuple(rng.sample(words, rng.choice([4, 5]))),
            answer=rng.randint(1, 4),
            subject="국어" if i % 2 else "사회",
        )
        for i in range(number)
    ]


def dying_model(folder: Path, code: str) -> None:
    """A model whose own code, run as it is loaded, ends its process."""
    folder.mkdir()
    settings = {"model_type": "dying", "auto_map": {"AutoConfig": "dying.DyingConfig"}}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "dying.py").write_text(f"{code}\n")
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "tokenizer.json").write_text("{}")


class World:
    """A folder with an exam of 150 questions, its key, a prompt and models; how to use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.questions = make_questions(150)
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HF_MODULES_CACHE": str(folder / "modules"),
        }

    def suite(self, name: str, candidates: list, **changes) -> Path:
        """Write a suite; a candidate is a model's folder here or a whole entry."""
        value = {
            "name": name,
            "prompt": str(self.folder / "short.yaml"),
            "exams": [{"name": "small", "exam": str(self.folder / "exam.csv")}],
            "candidates": [
                {"name": c, "model": str(self.folder / c)} if isinstance(c, str) else c
                for c in candidates
            ],
        } | changes
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(value, allow_unicode=True))
        return path

    def start(self, suite: Path | str, out: Path) -> subprocess.Popen:
        """The command as a user gives it, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "solution", "explore", f"--suite={suite}", f"--out={out}"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, suite: Path | str, out: Path, *more: str) -> SimpleNamespace:
        """The same in this process (its workers are others), which saves the start."""
        arguments = ["explore", "--suite", str(suite), "--out", str(out), *more]
        stdout, stderr = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                status = main(arguments)
        return SimpleNamespace(
            status=status, stdout=stdout.getvalue(), stderr=stderr.getvalue(), out=out
        )


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    write_exam(made.folder / "exam.csv", made.questions)
    answers = {question.id: question.answer for question in made.questions}
    write_answer_key(
        made.folder / "key.csv", AnswerKey(answers, public_private_split(list(answers), 3))
    )
    (made.folder / "short.yaml").write_text(yaml.safe_dump(PROMPT))
    tokenizer = byte_tokenizer()
    for seed, name in enumerate(("a", "b")):
        root_conftest().save_tiny_qwen(made.folder / name, tokenizer, seed)
    for name, code in DEATHS.items():
        dying_model(made.folder / name, code)
    return made


@pytest.fixture(scope="session")
def first(world):
    """One run of two sound candidates, one that is not there, and two whose process dies.

    Tests read its folder `out`; what changes it works on a copy.
    """
    dying = [
        {"name": n, "model": str(world.folder / n), "trust_remote_code": True}
        for n in ("killed", "crashed")
    ]
    absent = {"name": "org/absent", "model": str(world.folder / "nowhere")}
    published = {"public": 0.5, "private": 0.25, "source": "elsewhere"}
    b = {"name": "b", "model": str(world.folder / "b"), "published": published}
    suite = world.suite("all", [*dying, "a", absent, b])
    return world.run(suite, world.folder / "out")


def root_conftest():
    """tests/conftest.py as a module: its plain name is this file's too."""
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "tests/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
