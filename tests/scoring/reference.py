"""The slow plain way to score, which the engine must equal: each answer alone, all logits."""

import random

from solution import scoring
from solution.exam import Question
from solution.models import ChatTemplate


def encode(questions, prompt, tokenizer, max_length, reserve=0):
    """Encode with the tokenizer's own chat template."""
    return scoring.encode(questions, prompt, ChatTemplate(tokenizer, "m"), max_length, reserve)


def rendered(prompt, question, tokenizer, paragraph=None):
    """The prompt's text up to where the answer begins."""
    messages = prompt.messages(question, paragraph)
    return ChatTemplate(tokenizer, "m").render(messages, prompt.plain_suffix).text


def slow_log_likelihoods(model, tokenizer, prompt, question, end=()):
    """log P(answer | prompt) for each choice, normalised over the row's own choices."""
    text = (
        ChatTemplate(tokenizer, "m").render(prompt.messages(question), prompt.plain_suffix).text
    )
    before = tokenizer(text, add_special_tokens=False).input_ids
    answers = (
        tokenizer(answer, add_special_tokens=False).input_ids + list(end)
        for answer in prompt.answers(question)
    )
    return slow_ids(model, before, answers)


def slow_ids(model, before, answers):
    """The same from token ids: what comes before, and each answer with all that ends it."""
    import torch

    sums, before = [], list(before)
    for after in map(list, answers):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([before + after])).logits[0].double()
        own = logits.log_softmax(-1)[len(before) - 1 : -1]
        sums.append(sum(own[i, token].item() for i, token in enumerate(after)))
    return torch.tensor(sums).log_softmax(0).tolist()


def some_questions(count=8, seed=0, choices=None):
    """Questions of very different lengths with 2 to 5 choices (or as many as asked for)."""
    rng = random.Random(seed)
    words = ["나라", "강", "산", "왕", "법", "시장", "물", "불", "글", "말", "길", "집"]

    def text(low, high):
        return " ".join(rng.choice(words) for _ in range(rng.randint(low, high)))

    return [
        Question(
            id=f"q{number}",
            paragraph=text(0, 60) if number % 4 else "",
            question=text(3, 8) + "?",
            choices=tuple(text(1, 4) for _ in range(choices or rng.choice([2, 4, 5]))),
            answer=1,
            question_plus=text(2, 5) if number % 3 == 0 else "",
        )
        for number in range(count)
    ]
