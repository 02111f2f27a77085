"""Random prompts, label tries, batches and orders equal the slow way, in little memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import encode, slow_ids, slow_log_likelihoods, some_questions
from tiny import tiny_model, tiny_tokenizer

from solution.exam import Prompt
from solution.models import ChatTemplate
from solution.scoring import Encoded, plan_orders, score_model
from solution.scoring.lm_head import VOCAB_CHUNK

END = 300  # a token that no label has
TOKEN = st.integers(3, 6)
PASSAGE = st.lists(TOKEN, min_size=1, max_size=20).map(tuple)
TAIL = st.lists(TOKEN, min_size=1, max_size=6).map(tuple)
# Few tokens: labels begin alike, differ in the middle, and some begin others.
LABELS = st.lists(
    st.lists(TOKEN, min_size=1, max_size=4).map(tuple), min_size=2, max_size=5, unique=True
)
VOCABULARY = 151_936


@st.composite
def questions(draw):
    """Questions behind shared passages, each with labels of its own."""
    passages = draw(st.lists(PASSAGE, min_size=1, max_size=3))
    made = []
    for number in range(draw(st.integers(1, 6))):
        prompt = draw(st.sampled_from(passages)) + draw(TAIL)
        labels = tuple(draw(LABELS))
        begins = any(a != b and b[: len(a)] == a for a in labels for b in labels)
        made.append(Encoded(str(number), prompt, labels, 0, (END,) if begins else ()))
    return made


@pytest.fixture(scope="module")
def models():
    tokenizer = tiny_tokenizer()
    return {name: tiny_model(name, tokenizer) for name in ("qwen2", "gemma2", "gpt_neox")}


@settings(max_examples=30, deadline=None)
@given(questions(), st.sampled_from([1, 40, 100, 10**6]), st.booleans(), st.randoms())
@pytest.mark.parametrize("name", ["qwen2", "gemma2", "gpt_neox"])
def test_any_label_trie_batch_and_order_shared_or_not_equals_the_slow_way(
    name, models, asked, budget, shared, order
):
    order.shuffle(asked)
    with pytest.MonkeyPatch.context() as patch:
        if not shared:
            patch.setattr("solution.scoring.scorer.supports_tree_attention", lambda *_: False)
        scored = score_model(models[name], asked, budget)
    for one, found in zip(asked, scored, strict=True):
        answers = [ids + one.terminator_ids for ids in one.label_ids]
        slow = slow_ids(models[name], one.prompt_ids, answers)
        assert found.id == one.id
        assert found.log_likelihood == pytest.approx(slow, abs=1e-4)
        assert sum(found.probability) == pytest.approx(1)


LABEL = st.text(st.sampled_from("1234567890()①②③④⑤가나다라마ABCDE "), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(LABEL.map(str.strip).filter(bool), min_size=10, max_size=10, unique=True),
    st.sampled_from(["$label", "($label)", " $label", "정답 $label"]),
    st.integers(1, 6),
    st.sampled_from([1, 200, 10**6]),
)
def test_random_labels_in_several_orders_equal_the_slow_way(
    models, labels, answer, permutations, budget
):
    from solution.core import UserError
    from solution.exam import permute_choices

    tokenizer = tiny_tokenizer()
    user = {"paragraph": "$paragraph", "question": "$question", "choices": "$choices"}
    prompt = Prompt(name="random", user=user, labels=tuple(labels), answer=answer)
    asked = some_questions(3, seed=permutations)
    plan = plan_orders(asked, permutations)
    try:
        grouped = plan.encode(prompt, ChatTemplate(tokenizer, "m"), 1024)
    except UserError:
        return  # two labels are the same tokens
    flat = [one for some in grouped for one in some]
    scored = plan.group(score_model(models["qwen2"], flat, budget))
    for question, orders, some, encoded in zip(
        asked, plan.orders, scored, grouped, strict=True
    ):
        for order, one, ids in zip(orders, some, encoded, strict=True):
            moved = permute_choices(question, order)
            slow = slow_log_likelihoods(
                models["qwen2"], tokenizer, prompt, moved, end=ids.terminator_ids
            )
            assert one.log_likelihood == pytest.approx(slow, abs=1e-4)


def largest_made(work):
    """The most elements that any tensor made in `work` holds."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            for one in out if isinstance(out, (tuple, list)) else (out,):
                # a view of the weights holds nothing of its own
                if isinstance(one, torch.Tensor) and not one._is_view():
                    self.largest = max(self.largest, one.numel())
            return out

    with Watch() as watch:
        work()
    return watch.largest


@pytest.fixture(scope="module")
def wide():
    """A head of 150 thousand tokens on a tiny model."""
    tokenizer = tiny_tokenizer()
    model = tiny_model("qwen2", tokenizer, vocab_size=VOCABULARY, tie_word_embeddings=True)
    return model, tokenizer


@pytest.mark.parametrize(
    ("answer", "most"),
    [
        # A piece of it, at each question's place: the label mass needs its normaliser.
        ("$label", 16 * VOCAB_CHUNK),
        ("($label)", 12 * 7 * VOCAB_CHUNK),  # and at the positions of the labels' tokens
    ],
)
def test_logits_never_fill_vocabulary_times_positions(wide, answer, most):
    model, tokenizer = wide
    user = {"paragraph": "$paragraph", "question": "$question", "choices": "$choices"}
    prompt = Prompt(name="wide", user=user, answer=answer)
    encoded = encode(some_questions(12, choices=5), prompt, tokenizer, 1024)
    positions = sum(len(one.prompt_ids) for one in encoded)
    score_model(model, encoded[:1])  # checks how the model is to be read, once
    made = largest_made(lambda: score_model(model, encoded))
    assert made <= most
    assert made * 100 < VOCABULARY * positions


def test_the_pieces_of_a_vocabulary_add_up_to_the_whole(wide, monkeypatch):
    model, tokenizer = wide
    user = {"question": "$question", "choices": "$choices"}
    prompt = Prompt(name="wide", user=user, answer="($label)")
    encoded = encode(some_questions(3, choices=4), prompt, tokenizer, 1024)
    whole = [one.log_likelihood for one in score_model(model, encoded)]
    monkeypatch.setattr("solution.scoring.lm_head.VOCAB_CHUNK", 777)
    for one, values in zip(score_model(model, encoded), whole, strict=True):
        assert one.log_likelihood == pytest.approx(values, abs=1e-5)
