"""English to Korean by DeepL or a seq2seq model; numbers and placeholders stay as they are."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape

from solution.core import UserError, resolve_path

# Links, {slots}, <tags>, [MARKS], $formulas$, \commands, %s, (A) and whole numbers, 1,000.5%.
KEPT = re.compile(
    r"(https?://\S+|\{[^{}\n]*\}|<[^<>\n]{1,60}>|\[[^\[\]\n]{1,60}\]|\$[^$\n]+\$|\\[A-Za-z]+"
    r"|%[sd]|\([A-Za-z0-9]\)|\d+(?:[.,:/]\d+)*%?)"
)
REQUEST = 50  # texts; DeepL's limit
LINES = re.compile(r"(\s*\n\s*)")
SENTENCES = re.compile(r"(\s*\n\s*|(?<=[.?!])\s+)")
# Languages of multilingual models: (from, to) as NLLB, mBART-50 and M2M100 write them.
LANGUAGES = (("eng_Latn", "kor_Hang"), ("en_XX", "ko_KR"), ("__en__", "__ko__"))
LOST = "a number or placeholder was lost or doubled"


class TranslationError(ValueError):
    """A translation that cannot be used, and why."""


@dataclass(frozen=True)
class Translator:
    """A translation function, and how texts are prepared for it.

    Texts are split at `boundary`; what matches KEPT is replaced by `mark` (of its number and
    text), which `find` finds again. With `retry` a text that lost one is translated unmarked.
    """

    function: Callable[[list[str]], list[str]]
    boundary: re.Pattern[str]
    mark: Callable[[int, str], str]
    find: re.Pattern[str]
    quote: Callable[[str], str] = str
    unquote: Callable[[str], str] = str
    retry: bool = False

    def translate(self, text: str) -> str:
        """Translate a text; raises TranslationError where something is lost or unchanged."""
        parts = self.boundary.split(text)
        # Only parts with words beside numbers and placeholders are sent.
        sent = [
            i for i in range(0, len(parts), 2) if re.search(r"[^\W\d_]", KEPT.sub("", parts[i]))
        ]
        hidden = [self.hide(parts[i]) for i in sent]
        results = self.function([masked for masked, _ in hidden]) if sent else []
        for i, (_, kept), result in zip(sent, hidden, results, strict=True):
            try:
                translated = self.restore(result, kept)
            except TranslationError:
                if not (self.retry and kept):
                    raise
                (translated,) = self.function([parts[i]])
            if Counter(KEPT.findall(parts[i])) - Counter(KEPT.findall(translated)):
                raise TranslationError(LOST)  # more may appear: two as 2
            if not translated.strip():
                raise TranslationError("a text came back empty")
            if translated == parts[i] and len(parts[i].split()) > 4:  # not a name alone
                raise TranslationError("a text came back in English")
            parts[i] = translated
        return "".join(parts)

    def hide(self, text: str) -> tuple[str, list[str]]:
        """Return the text with marks, and what they stand for."""
        parts = KEPT.split(text)
        kept = parts[1::2]
        parts[::2] = [self.quote(part) for part in parts[::2]]
        parts[1::2] = [self.mark(number, part) for number, part in enumerate(kept)]
        return "".join(parts), kept

    def restore(self, text: str, kept: list[str]) -> str:
        """Put back what `hide` replaced; raises TranslationError unless each is there once."""
        parts = self.find.split(text)
        numbers = [int(number) for number in parts[1::2]]
        if sorted(numbers) != list(range(len(kept))):
            raise TranslationError(LOST)
        parts[::2] = [self.unquote(part) for part in parts[::2]]
        parts[1::2] = [kept[number] for number in numbers]
        return "".join(parts)


def deepl_translator() -> Translator:
    """Return DeepL's client; it translates lines and leaves XML elements x alone."""
    try:
        import deepl
    except ImportError as error:
        raise UserError(
            "deepl is not installed. Install DeepL's client into the environment "
            "(.venv/bin/python -m pip install deepl), or name a model: --by HUB_ID."
        ) from error
    key = os.environ.get("DEEPL_AUTH_KEY", "").strip()
    if not key:
        raise UserError("DEEPL_AUTH_KEY is not set. Set it, or name a model: --by HUB_ID.")
    client = deepl.DeepLClient(key, server_url=os.environ.get("DEEPL_SERVER_URL"))
    options = {"source_lang": "EN", "target_lang": "KO", "preserve_formatting": True}
    options |= {"tag_handling": "xml", "ignore_tags": ["x"]}

    def function(texts: list[str]) -> list[str]:
        try:
            parts = [texts[i : i + REQUEST] for i in range(0, len(texts), REQUEST)]
            return [
                one.text for part in parts for one in client.translate_text(part, **options)
            ]
        except deepl.QuotaExceededException as error:
            raise UserError(
                "DeepL: the quota is used up. Run the same command later."
            ) from error
        except deepl.DeepLException as error:
            raise UserError(
                f"DeepL: {error}. Check DEEPL_AUTH_KEY, and run it again."
            ) from error

    return Translator(
        function,
        LINES,
        lambda number, text: f'<x id="{number}">{escape(text)}</x>',
        re.compile(r'<x id="(\d+)">[^<]*</x>'),
        lambda text: escape(text, quote=False),
        unescape,
    )


def model_translator(name: str) -> Translator:
    """Return a seq2seq model; it translates sentences and copies marks like footnotes."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    place = str(resolve_path(name)) if resolve_path(name).is_dir() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForSeq2SeqLM.from_pretrained(place, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--by {name}: no translation model could be loaded ({reason}). Give deepl, or the "
            "hub id or folder of a seq2seq model."
        ) from error
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    vocabulary, options = tokenizer.get_vocab(), {}
    for source, target in LANGUAGES:
        if source in vocabulary and target in vocabulary:
            tokenizer.src_lang = source.strip("_")
            options = {"forced_bos_token_id": vocabulary[target]}
    prefix = "<2ko> " if "<2ko>" in vocabulary else ""  # MADLAD

    def function(texts: list[str]) -> list[str]:
        batch = tokenizer([prefix + text for text in texts], padding=True, return_tensors="pt")
        limit = 2 * batch["input_ids"].shape[1] + 16
        given = {key: batch[key].to(model.device) for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            tokens = model.generate(**given, **options, max_new_tokens=limit)
        end = model.generation_config.eos_token_id
        ends = torch.tensor(end if isinstance(end, list) else [end]).to(tokens.device)
        if tokens.shape[1] >= limit and not torch.isin(tokens[:, 1:], ends).any(1).all():
            raise TranslationError("the model did not end its text")
        return [
            text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)
        ]

    marks = re.compile(r"\[\s?(\d+)\s?\]")
    return Translator(function, SENTENCES, lambda n, _: f"[{n}]", marks, retry=True)
