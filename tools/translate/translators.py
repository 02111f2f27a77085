"""Who translates English into Korean: DeepL's own client, or a seq2seq model at hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

from solution.core import UserError, resolve_path
from tools.translate.protect import Lost, Marks

DEEPL, KEY, SERVER = "deepl", "DEEPL_AUTH_KEY", "DEEPL_SERVER_URL"
TEXTS = 50  # DeepL's limit of one request
LINES = re.compile(r"(\s*\n\s*)")
SENTENCES = re.compile(r"(\s*\n\s*|(?<=[.?!])\s+)")
# Models of many languages are told theirs: (from, to) as NLLB, mBART-50 and M2M100 write them.
LANGUAGES = (("eng_Latn", "kor_Hang"), ("en_XX", "ko_KR"), ("__en__", "__ko__"))
MADLAD = "<2ko>"

XML = Marks(
    lambda number, text: f'<x id="{number}">{escape(text)}</x>',
    re.compile(r'<x id="(\d+)">[^<]*</x>'),
    lambda text: escape(text, quote=False),
    unescape,
)
# A number in brackets: a model has seen such footnotes, and copies them.
FOOTNOTES = Marks(lambda number, _text: f"[{number}]", re.compile(r"\[\s?(\d+)\s?\]"))


@dataclass(frozen=True)
class Translator:
    """Translates pieces of text, cut at `boundary`, whose `marks` it has to keep.

    With `plainly` a piece that lost a mark is tried once more without any.
    """

    translate: Callable[[list[str]], list[str]]
    boundary: re.Pattern[str]
    marks: Marks
    plainly: bool


def translator(by: str) -> Translator:
    """DeepL, or the seq2seq model of this folder or hub id. Raises UserError where it can't."""
    return _deepl() if by == DEEPL else _local(by)


def _deepl() -> Translator:
    """Whole lines; what must be kept is wrapped in XML elements that DeepL ignores."""
    try:
        import deepl
    except ImportError as error:
        raise UserError(
            "deepl is not installed. Install DeepL's client into the environment "
            "(.venv/bin/python -m pip install deepl), or name a model: --by HUB_ID."
        ) from error
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise UserError(f"{KEY} is not set. Put your DeepL key there, or name a model: --by.")
    client = deepl.DeepLClient(key, server_url=os.environ.get(SERVER))

    def translate(texts: list[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), TEXTS):
            try:
                results = client.translate_text(
                    texts[start : start + TEXTS],
                    source_lang="EN",
                    target_lang="KO",
                    tag_handling="xml",
                    ignore_tags=["x"],
                    preserve_formatting=True,
                )
            except deepl.AuthorizationException as error:
                raise UserError(f"{KEY}: DeepL refuses the key. Check it.") from error
            except deepl.QuotaExceededException as error:
                raise UserError(
                    "DeepL: this key's quota is used up. What is translated is kept; run the "
                    "same command again when there is more."
                ) from error
            except deepl.DeepLException as error:
                raise UserError(
                    f"DeepL: {error}. What is translated is kept; run the same command again."
                ) from error
            found += [result.text for result in results]
        return found

    return Translator(translate, LINES, XML, plainly=False)


def _local(name: str) -> Translator:
    """Sentence by sentence, as such models are trained; by the model's own way of decoding."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = resolve_path(name)
    place = str(folder) if folder.is_dir() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForSeq2SeqLM.from_pretrained(place, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--by {name}: no translation model could be loaded ({reason}). Give {DEEPL}, or "
            "the hub id or folder of a seq2seq model."
        ) from error
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    options, prefix = _told_languages(tokenizer)

    def translate(texts: list[str]) -> list[str]:
        batch = tokenizer([prefix + text for text in texts], padding=True, return_tensors="pt")
        most = 2 * batch["input_ids"].shape[1] + 16
        given = {key: batch[key].to(model.device) for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            made = model.generate(**given, **options, max_new_tokens=most)
        if made.shape[1] >= most and not _ended(made, model.generation_config.eos_token_id):
            raise Lost("the model came to no end")
        return [
            str(text).strip() for text in tokenizer.batch_decode(made, skip_special_tokens=True)
        ]

    return Translator(translate, SENTENCES, FOOTNOTES, plainly=True)


def _told_languages(tokenizer: Any) -> tuple[dict[str, int], str]:
    """Tell the tokenizer what it reads; give the options and the prefix that ask for Korean."""
    vocabulary = tokenizer.get_vocab()
    for source, target in LANGUAGES:
        if source in vocabulary and target in vocabulary:
            tokenizer.src_lang = source.strip("_")
            return {"forced_bos_token_id": vocabulary[target]}, ""
    return {}, f"{MADLAD} " if MADLAD in vocabulary else ""


def _ended(made: Any, end: int | list[int] | None) -> bool:
    ends = end if isinstance(end, list) else [end]
    return all(any(token in ends for token in row[1:]) for row in made.tolist())
