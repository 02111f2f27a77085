"""What a tokenizer lacks for training: the token that ends an answer, one that pads."""

from __future__ import annotations

from typing import Any

from solution.core import UserError

# Special tokens that may stand for padding where a tokenizer names none, in this order.
PADS = (
    "<|endoftext|>",
    "<|vision_pad|>",
    "<|finetune_right_pad_id|>",
    "<pad>",
    "[PAD]",
    "<unk>",
)


def end_token(tokenizer: Any) -> int:
    """The id of the token that ends an answer: the template's end of turn, else the eos token.

    Raises UserError where the tokenizer has neither.
    """
    if getattr(tokenizer, "chat_template", None):
        after = _after_answer(tokenizer).lstrip()
        special = sorted(tokenizer.get_added_vocab().items(), key=lambda item: -len(item[0]))
        for text, id in special:
            if after.startswith(text):
                return int(id)
    if tokenizer.eos_token_id is None:
        raise UserError(
            "the tokenizer has no end-of-text token, so an answer's end can't be taught."
        )
    return int(tokenizer.eos_token_id)


def set_pad_token(tokenizer: Any, end: int) -> None:
    """Make sure that padding is another token than the end of the answer.

    Were they one, the loss would leave the end out with the padding and it were never learnt.
    Raises UserError where no other special token exists.
    """
    if tokenizer.pad_token_id not in (None, end):
        return
    vocabulary = tokenizer.get_vocab()
    for pad in PADS:
        if vocabulary.get(pad, end) != end:
            tokenizer.pad_token = pad
            return
    raise UserError(
        f"the tokenizer pads with its end token {tokenizer.convert_ids_to_tokens(end)!r} and "
        f"has none of {', '.join(PADS)}. Add a pad token to the model's tokenizer_config.json."
    )


def _after_answer(tokenizer: Any) -> str:
    """What the chat template writes behind an assistant's words."""
    answer = "0123456789"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False)).rpartition(answer)[2]
