"""A few steps of the pre-training, and the weights it begins from."""

import pytest

from tools.embedded.documents import Writer
from tools.embedded.pretrain import SIZES, build, pretrain, schedule

SMALLEST = min((size for size in SIZES if not size.wiki), key=lambda size: size.width)
SEED = 7


def _loss(model, documents):
    """Mean cross-entropy at the supervised tokens, by the model's own loss."""
    import torch

    losses = []
    for document in documents:
        pairs = zip(document.ids, document.supervised, strict=True)
        labels = torch.tensor([[token if wanted else -100 for token, wanted in pairs]])
        with torch.no_grad():
            losses.append(model(torch.tensor([document.ids]), labels=labels).loss.item())
    return sum(losses) / len(losses)


def test_a_few_steps_lower_the_loss_and_leave_a_loadable_folder(words, world, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pretrain(SMALLEST, world, steps=8, seed=SEED, models=tmp_path)
    folder = tmp_path / SMALLEST.name
    assert (folder / "model.safetensors").is_file()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    reader = Writer(words, world, SEED + 1)
    unseen = [reader.write(kind) for kind in ("retell", "number", "lookup") * 8]
    assert _loss(model, unseen) < _loss(build(SMALLEST, words, SEED), unseen)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.get_vocab() == words.get_vocab()
    assert tokenizer.chat_template == words.chat_template


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_initial_weights_follow_from_the_seed(words, size):
    import torch

    first, again = (build(size, words, SEED).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(weight.isfinite().all() for weight in first.values())
    other = build(size, words, SEED + 1).state_dict()
    assert not torch.equal(
        first["model.embed_tokens.weight"], other["model.embed_tokens.weight"]
    )


def test_every_size_reads_the_same_and_the_wiki_comes_on_top():
    plain, wiki = schedule(500, False), schedule(500, True)
    assert len(plain) == 500
    assert wiki[:500] == plain
    assert not {"article", "quiz"} & set(plain)
    assert {"article", "quiz"} <= set(wiki[500:])
