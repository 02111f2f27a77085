"""Fixtures every test may use: the shared real data and small models made on the spot."""

import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Seconds that Ray gives a node to start; its 30 are too few on a busy machine.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("EXAMQA_SHARED_DATA", ROOT.parent / "shared" / "data"))
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real exams and tokenizers; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not at {SHARED} (set EXAMQA_SHARED_DATA)")
    return SHARED


def save_tiny_qwen(folder: Path, tokenizer, seed: int = 0, **changes) -> Path:
    """A Qwen2 of a few thousand parameters with random weights and the given tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "initializer_range": 0.2,
    } | changes
    Qwen2ForCausalLM(Qwen2Config(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def real_qwen(shared_data, tmp_path_factory) -> Path:
    """Random weights behind the real Qwen2.5 tokenizer and chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    return save_tiny_qwen(tmp_path_factory.mktemp("real_qwen"), tokenizer)


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The folder of the embedded exam, wiki and models."""
    return ROOT / "data" / "embedded"


@pytest.fixture(scope="session")
def browser():
    """The distribution's Chromium; tests skip where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=found, args=QUIET)
        yield chromium
        chromium.close()


# Ray tells the agent its port but not the raylet, which waits 15 s for it and then dies
# (ray-project/ray#65983): too short on a busy machine.
RAYLET = """#!/bin/sh
port=$(printf '%s' "$*" | sed 's/.*--listen-port=\\([0-9]*\\).*/\\1/')
exec {raylet} "$@" --dashboard_agent_listen_port="$port"
"""


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory):
    """Makes a local Ray cluster: its Cluster, and a node for each dictionary of options.

    A node that is late nevertheless is started again, after what it left running is killed.
    The ports of its agents are given beforehand, so that it does not wait for them.
    """
    pytest.importorskip("ray")
    import psutil
    from ray._private import services
    from ray.cluster_utils import Cluster

    told = tmp_path_factory.mktemp("ray") / "raylet"
    told.write_text(RAYLET.format(raylet=services.RAYLET_EXECUTABLE))
    told.chmod(0o755)
    services.RAYLET_EXECUTABLE = str(told)

    def make(*wanted):
        before = set(psutil.Process().children(recursive=True))
        for left in reversed(range(4)):
            cluster = Cluster()
            try:
                return cluster, [cluster.add_node(**_small_node(), **one) for one in wanted]
            except Exception:
                cluster.shutdown()
                for late in set(psutil.Process().children(recursive=True)) - before:
                    with suppress(psutil.NoSuchProcess):
                        late.kill()
                if not left:
                    raise

    return make


def _small_node():
    ports = {}
    for name in (
        "metrics_agent",
        "metrics_export",
        "dashboard_agent_listen",
        "runtime_env_agent",
    ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports[f"{name}_port"] = free.getsockname()[1]
    return ports | {"object_store_memory": 2**27}
