"""The scorer on a model that is being trained equals the one that scores its saved adapter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from reference import encode, slow_log_likelihoods, some_questions
from tiny import save_tiny, tiny_model, tiny_tokenizer

from solution.exam import Prompt
from solution.models import ModelReference, load
from solution.scoring import score, score_model

ROOT = Path(__file__).resolve().parents[2]

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
)


def adapter_settings(kind):
    from peft import IA3Config, LoraConfig

    lora = {"r": 4, "lora_dropout": 0.5, "task_type": "CAUSAL_LM"}
    return {
        "lora": LoraConfig(**lora, target_modules=["q_proj", "down_proj"]),
        "lora on the head": LoraConfig(**lora, target_modules=["q_proj", "lm_head"]),
        "trained head": LoraConfig(
            **lora, target_modules=["q_proj"], modules_to_save=["lm_head"]
        ),
        "ia3": IA3Config(
            target_modules=["k_proj", "down_proj"],
            feedforward_modules=["down_proj"],
            task_type="CAUSAL_LM",
        ),
    }[kind]


def shaken(model, seed=0):
    """Move the trainable weights, which an adapter starts where they change nothing."""
    import torch

    torch.manual_seed(seed)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.3 * torch.randn_like(weight)
    return model


@pytest.mark.parametrize("kind", ["lora", "lora on the head", "trained head", "ia3"])
def test_scoring_amid_training_equals_the_slow_way_and_leaves_no_trace(kind):
    from peft import get_peft_model

    tokenizer = tiny_tokenizer()
    base = tiny_model("llama", tokenizer)
    model = shaken(get_peft_model(base, adapter_settings(kind)))
    model.train()
    base.model.embed_tokens.eval()  # one part that was not training stays so
    before = [module.training for module in model.modules()]
    questions = some_questions(6)
    scored = score_model(model, encode(questions, PROMPT, tokenizer, 1024), 600)
    assert [module.training for module in model.modules()] == before
    assert all(weight.grad is None for weight in model.parameters())
    model.eval()
    for question, one in zip(questions, scored, strict=True):
        slow = slow_log_likelihoods(model, tokenizer, PROMPT, question)
        assert one.log_likelihood == pytest.approx(slow, abs=1e-4)


def test_a_head_that_is_trained_too_is_not_read_row_by_row(capsys):
    from peft import get_peft_model

    tokenizer = tiny_tokenizer()
    model = get_peft_model(tiny_model("llama", tokenizer), adapter_settings("lora on the head"))
    score_model(model, encode(some_questions(1), PROMPT, tokenizer, 1024))
    assert "slower" in capsys.readouterr().err


UNSLOTH = """
import json, sys
from pathlib import Path
import unsloth
import torch
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests", sys.argv[1] + "/tests/scoring"]
from reference import encode, slow_log_likelihoods, some_questions
from test_scoring_in_training import PROMPT, shaken
from solution.scoring import score_model
model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
    sys.argv[2], max_seq_length=1024, dtype=torch.float32, load_in_4bit=False)
model = unsloth.FastLanguageModel.get_peft_model(
    model, r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"],
    use_gradient_checkpointing="unsloth")
shaken(model)
model.train()
scored = score_model(model, encode(some_questions(8), PROMPT, tokenizer, 1024), 700)
assert model.training
model.save_pretrained(sys.argv[3])
Path(sys.argv[3], "scored.json").write_text(json.dumps([one.log_likelihood for one in scored]))
"""


def test_scoring_amid_unsloth_training_equals_the_offline_scorer(tmp_path):
    """Unsloth patches transformers on import, so it runs in a process of its own."""
    base = save_tiny(tmp_path / "base", tie_word_embeddings=True)
    adapter = tmp_path / "adapter"
    done = subprocess.run(
        [sys.executable, "-c", UNSLOTH, str(ROOT), str(base), str(adapter)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = load(ModelReference(model=str(base), adapter=str(adapter), dtype="float32"))
    encoded = encode(some_questions(8), PROMPT, loaded.tokenizer, 1024)
    amid = json.loads((adapter / "scored.json").read_text())
    for one, expected in zip(score(loaded, encoded), amid, strict=True):
        assert one.log_likelihood == pytest.approx(expected, abs=1e-4)
    plain = load(ModelReference(model=str(base), dtype="float32"))
    assert score(plain, encoded)[0].log_likelihood != pytest.approx(amid[0], abs=1e-2)
