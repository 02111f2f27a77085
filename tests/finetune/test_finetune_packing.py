"""Packed rows give the gradients of single rows; the content of a micro-batch."""

import random
from pathlib import Path

import pytest
import torch
from tiny import tiny_model, tiny_tokenizer

from solution.finetune.packed_attention import packed_attention, packing_is_isolated
from solution.finetune.packing import (
    IGNORE_INDEX,
    group_by_length,
    pack_best_fit,
    packed,
    padded,
    split_across_ranks,
    supervised_tokens,
)
from solution.models import ChatTemplate

ARCHITECTURES = ["qwen2", "llama", "gpt_neox", "gemma2"]


def make_row(length: int, supervised: int, seed: int) -> dict:
    ids = random.Random(seed).choices(range(10, 300), k=length)
    return {
        "id": f"r{seed}",
        "input_ids": ids,
        "labels": [IGNORE_INDEX] * (length - supervised) + ids[length - supervised :],
    }


# The third is supervised whole, as a passage is; gemma2's window (16) is shorter than some.
ROWS = [make_row(33, 2, 1), make_row(7, 2, 2), make_row(21, 21, 3), make_row(50, 2, 4)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request):
    from peft import LoraConfig, get_peft_model

    base = tiny_model(request.param, tiny_tokenizer())
    # SDPA leaves out Gemma 2's cap on attention scores; eager attention, and ours, do not.
    base.set_attn_implementation("eager" if request.param == "gemma2" else "sdpa")
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(base, config).train()


def summed_loss(model, given) -> torch.Tensor:
    """The sum over supervised positions, as plainly as it can be written."""
    labels = given.pop("labels")
    logits = model(**given, use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum"
    )


def gradients(model, passes) -> dict[str, torch.Tensor]:
    model.zero_grad()
    for rows, beside in passes:
        if beside:
            with packed_attention(model, [len(row["input_ids"]) for row in rows]):
                summed_loss(model, packed(rows)).backward()
        else:
            summed_loss(model, padded(rows, 0)).backward()
    named = model.named_parameters()
    return {name: w.grad.clone() for name, w in named if w.grad is not None}


def apart(ours: dict, theirs: dict) -> float:
    """The largest difference of a weight's gradient, relative to its norm."""
    assert ours.keys() == theirs.keys() and ours
    return max(float((ours[n] - theirs[n]).norm() / theirs[n].norm()) for n in ours)


def test_packed_rows_give_the_gradients_of_rows_alone_and_of_padded_ones(model):
    alone = gradients(model, [([row], False) for row in ROWS])
    assert apart(gradients(model, [(ROWS, True)]), alone) <= 1e-5
    assert apart(gradients(model, [(ROWS, False)]), alone) <= 1e-5


def test_packed_rows_give_the_same_gradients_with_checkpointing(model):
    plain = gradients(model, [(ROWS, True)])
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    checkpointed = gradients(model, [(ROWS, True)])
    model.gradient_checkpointing_disable()
    assert apart(checkpointed, plain) <= 1e-5


def test_another_neighbour_changes_nothing(model):
    def logits(first):
        rows = [first, ROWS[0]]
        given = packed(rows)
        given.pop("labels")
        lengths = [len(row["input_ids"]) for row in rows]
        with packed_attention(model, lengths), torch.no_grad():
            return model(**given, use_cache=False).logits[:, lengths[0] :]

    model.eval()
    assert torch.equal(logits(ROWS[3]), logits(make_row(50, 2, 99)))
    model.train()


def test_a_model_that_mixes_packed_rows_is_detected(model):
    one, other = ROWS[0]["input_ids"], ROWS[3]["input_ids"]
    assert packing_is_isolated(model, one, other) and model.training
    causal = model.get_base_model()

    class Leaking(torch.nn.Module):
        """Like Mamba: earlier tokens leak into later rows."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, hidden):
            return self.inner(hidden) + hidden.cumsum(1)

    head = causal.get_output_embeddings()
    causal.set_output_embeddings(Leaking(head))
    assert not packing_is_isolated(model, one, other)
    causal.set_output_embeddings(head)


def test_the_first_token_of_a_row_is_not_a_label():
    given = packed(ROWS)
    starts = [0, 33, 40, 61]
    assert given["labels"][0, starts].tolist() == [IGNORE_INDEX] * 4
    assert given["position_ids"][0, starts].tolist() == [0] * 4
    supervised = sum(supervised_tokens(row) for row in ROWS)
    assert int((given["labels"][:, 1:] != IGNORE_INDEX).sum()) == supervised == 2 + 2 + 20 + 2
    assert int((padded(ROWS, 0)["labels"][:, 1:] != IGNORE_INDEX).sum()) == supervised


@pytest.mark.parametrize("way", [pack_best_fit, group_by_length])
def test_every_row_is_in_one_micro_batch_within_the_budget(way):
    lengths = random.Random(0).choices(range(1, 900), k=64)
    passes = way(lengths, 2000)
    assert sorted(place for places in passes for place in places) == list(range(64))
    for places in passes:
        longest = max(lengths[place] for place in places)
        slots = (
            sum(lengths[p] for p in places) if way is pack_best_fit else longest * len(places)
        )
        assert slots <= 2000
    assert way([5000, 10], 2000)[0] == [0]  # longer than the budget: alone, not lost


def test_ranks_get_equal_shares_of_a_step():
    lengths = random.Random(1).choices(range(50, 900), k=16)
    shares = split_across_ranks(lengths, 3)
    assert sorted(index for share in shares for index in share) == list(range(16))
    loads = [sum(lengths[index] for index in share) for share in shares]
    assert max(loads) < 1.2 * min(loads)
    assert split_across_ranks([5], 2) == [[0], []]


def test_packs_of_contest_rows_and_wiki_passages_are_full(shared_data: Path):
    from transformers import AutoTokenizer

    from solution.exam import load_prompt, read_exam
    from solution.scoring import encode

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    questions = read_exam(shared_data / "competition" / "train.csv").questions[:192]
    rows = encode(questions, load_prompt("contest"), ChatTemplate(tokenizer, "m"), 2048)
    contest = [len(row.prompt_ids) + 2 for row in rows]
    # Passages as `kowiki build` cuts them: prose of the exams, in pieces of about 600 letters.
    texts = [question.paragraph[:600] for question in questions]
    passages = [len(tokenizer(text).input_ids) + 1 for text in texts]
    lengths = [n for pair in zip(contest, passages, strict=True) for n in pair]
    passes = pack_best_fit(lengths, 16384)
    computed = len(packed([make_row(n, 2, n) for n in lengths[:8]])["input_ids"][0])
    assert computed == sum(lengths[:8])  # no padding
    full = passes[:-1]
    assert sum(lengths[p] for places in full for p in places) >= 0.97 * 16384 * len(full)
