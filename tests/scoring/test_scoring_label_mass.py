"""The probability that a model gives to all labels together, over the whole vocabulary."""

import math

import pytest
from reference import encode, some_questions
from tiny import tiny_model, tiny_tokenizer

from solution.exam import Prompt
from solution.scoring import score_model

USER = {"paragraph": "$paragraph", "question": "$question", "choices": "$choices"}
# One token each; several tokens with a shared beginning; labels that begin one another.
STYLES = {
    "digits": Prompt(name="p", user=USER),
    "brackets": Prompt(name="p", user=USER, answer="($label)"),
    "texts": Prompt(name="p", user=USER, answer="$text"),
}


def plain_mass(model, one):
    """Sum of P(label | prompt), each label run alone through the whole vocabulary."""
    import torch

    total = 0.0
    for label in one.label_ids:
        ids = [*one.prompt_ids, *label, *one.terminator_ids]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        first = len(one.prompt_ids)
        total += math.exp(sum(logits[i - 1, ids[i]].item() for i in range(first, len(ids))))
    return total


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("architecture", ["qwen2", "gemma2", "gpt_neox"])
def test_label_mass_is_the_sum_of_the_labels_probabilities(style, architecture):
    tokenizer = tiny_tokenizer()
    model = tiny_model(architecture, tokenizer)
    rows = encode(some_questions(6), STYLES[style], tokenizer, 1024)
    for one, found in zip(rows, score_model(model, rows, 300), strict=True):
        assert found.label_mass == pytest.approx(plain_mass(model, one), rel=1e-3)
        assert 0 < found.label_mass < 1
