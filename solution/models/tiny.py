"""Models of a few thousand random weights in the architectures of the recipes.

A recipe on a tiny model runs the same code as on the large one: modules, adapter and files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from solution.core import atomic_directory, resolve_path
from solution.models.pretrained import quiet

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = "data/embedded/train.csv"  # training text of the tokenizer
VOCABULARY = 512
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
}
SHARED_HEADS = {"num_key_value_heads": 1}
# Settings in which the large models of these architectures differ.
CHANGES: dict[str, dict[str, Any]] = {
    "qwen2": SHARED_HEADS | {"tie_word_embeddings": False},
    "llama": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "gpt_neox": {"tie_word_embeddings": False},
    "gemma2": SHARED_HEADS | {"head_dim": 8, "sliding_window": 512},
}


def make_tiny(architecture: str, folder: Path) -> Path:
    """Write a tiny model and its tokenizer into `folder`, unless it exists; return the folder.

    Qwen2 and Gemma 2 get a chat template; the recipes' GPT-NeoX and Llama models have none.
    """
    if (folder / "config.json").is_file():
        return folder
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = _tokenizer(chat=architecture in ("qwen2", "gemma2"))
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    sizes = SIZES | CHANGES[architecture] | ids | {"pad_token_id": tokenizer.pad_token_id}
    config = AutoConfig.for_model(architecture, vocab_size=len(tokenizer), **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with quiet(), atomic_directory(folder) as place:
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
    return folder


def _tokenizer(*, chat: bool) -> Any:
    """Train a small byte-level BPE tokenizer on the embedded exam."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(
        resolve_path(TEXT).read_text(encoding="utf-8").splitlines(), trainer
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    tokenizer.chat_template = CHAT if chat else None
    return tokenizer
