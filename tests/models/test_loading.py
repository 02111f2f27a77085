"""Loading what is safe and whole, and refusing the rest with a message that says what to do."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import CHANGES, save_tiny, tiny_model, tiny_tokenizer

from solution.core import UserError
from solution.models import (
    ModelReference,
    compute_identity,
    detect,
    load,
    load_tokenizer,
    read_shape,
    weights_fingerprint,
)
from solution.models import loading as loading_module
from solution.models.memory_plan import weight_bytes
from solution.models.pretrained import read_config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def copied(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


def reference(folder, **settings):
    return ModelReference(model=str(folder), **settings)


def logits(model):
    import torch

    with torch.no_grad():
        return model(input_ids=torch.arange(20)[None]).logits


def test_a_local_model_is_ready_for_scoring(tiny, capfd):
    loaded = load(reference(tiny, dtype="float32"))
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    assert (loaded.device, loaded.dtype, loaded.max_length) == (
        detect().device,
        "float32",
        1024,
    )
    assert str(loaded.model.dtype) == "torch.float32"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("wanted", "expected"), [(None, 1024), (100, 100), (9999, 1024)])
def test_length_is_the_smaller_of_wish_and_positions(tiny, wanted, expected):
    assert load(reference(tiny, max_length=wanted)).max_length == expected


@pytest.mark.parametrize("architecture", CHANGES)
def test_every_architecture_loads_as_it_was_saved(architecture, tmp_path):
    folder = save_tiny(tmp_path / "m", architecture)
    loaded = load(reference(folder, dtype="float32"))
    own = logits(tiny_model(architecture, tiny_tokenizer()))
    assert (logits(loaded.model) - own).abs().max() < 1e-5


def test_four_bit_loads_on_this_machine(tiny):
    loaded = load(reference(tiny, quantization="4bit"))
    layer = loaded.model.model.layers[0].mlp.down_proj
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_type == "nf4"
    assert str(layer.compute_dtype) == f"torch.{loaded.dtype}"
    assert logits(loaded.model).isfinite().all()


def test_a_quantised_checkpoint_loads_as_it_is_but_computes_in_our_dtype(tiny, tmp_path):
    folder = tmp_path / "packed"
    packed = load(reference(tiny, quantization="4bit", dtype="float32"))
    packed.model.save_pretrained(folder)
    packed.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["bnb_4bit_compute_dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config))
    for quantization in ("none", "4bit"):
        loaded = load(reference(folder, quantization=quantization, dtype="float32"))
        layer = loaded.model.model.layers[0].mlp.down_proj
        assert type(layer).__name__ == "Linear4bit"
        assert str(layer.compute_dtype) == "torch.float32"
        assert (logits(loaded.model) - logits(packed.model)).abs().max() < 1e-4


@pytest.mark.parametrize(
    "name", ["./nowhere", "data/nowhere", "/nowhere/at/all", "a b", "a/b/c"]
)
def test_an_absent_folder_is_named(name):
    with pytest.raises(UserError, match="no such folder"):
        load(ModelReference(model=name))


def test_an_absent_hub_model_offline_says_to_connect_or_copy():
    with pytest.raises(UserError, match=r"nobody/nothing: .*(folder|Connect)"):
        load(ModelReference(model="nobody/nothing"))
    with pytest.raises(UserError, match="nobody/nothing"):
        load_tokenizer(ModelReference(model="nobody/nothing"))


def test_a_file_is_no_model(tiny):
    with pytest.raises(UserError, match="a folder or a hub id is expected"):
        load(reference(tiny / "config.json"))


def test_a_folder_without_config_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        load(reference(tmp_path))


def test_pickle_weights_are_refused_unopened(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: pickle.*save_pretrained"):
        load(reference(copied))


def test_a_folder_without_weights_is_named(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        load(reference(copied))


@pytest.mark.parametrize("keep", [0, 7, 3000])
def test_damaged_weights_are_named(copied, keep):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(UserError, match="copy"):
        load(reference(copied))


def test_weights_that_lack_a_part_are_refused_instead_of_filled_at_random(copied):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 .*down_proj"):
        load(reference(copied))


def test_weights_of_other_shapes_are_refused(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(UserError, match="shape"):
        load(reference(copied))


def test_a_config_that_is_not_json_is_named(copied):
    (copied / "config.json").write_text("{")
    with pytest.raises(UserError, match="config"):
        load(reference(copied))


def test_an_unknown_architecture_is_named(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"model_type": "brandnew"}))
    with pytest.raises(UserError, match="brandnew"):
        load(reference(copied))


def test_remote_code_is_refused_unread_and_runs_only_when_asked_for(copied, tmp_path):
    trace = tmp_path / "it ran"
    (copied / "configuration_own.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(trace)!r}).touch()\n"
        "from transformers import Qwen2Config\n"
        "class OwnConfig(Qwen2Config):\n    model_type = 'own'\n"
    )
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="trust_remote_code: true"):
        load(reference(copied))
    assert not trace.exists()
    allowed = reference(copied, trust_remote_code=True)
    assert read_config(allowed).model_type == "own"
    assert trace.exists()


def test_a_model_larger_than_memory_is_refused_before_loading(tiny, monkeypatch):
    from dataclasses import replace

    small = replace(detect(), cards=(), free=1000)
    monkeypatch.setattr(loading_module, "detect", lambda: small)
    with pytest.raises(UserError, match=r"main memory are free.*4bit"):
        load(reference(tiny))


@pytest.mark.parametrize("quantization", ["none", "8bit", "4bit"])
def test_the_memory_table_agrees_with_the_loaded_weights(tiny, quantization):
    named = reference(tiny, quantization=quantization, dtype="float32")
    counted = weight_bytes(read_shape(named), quantization, "float32")
    loaded = sum(w.numel() * w.element_size() for w in load(named).model.parameters())
    if quantization == "none":
        assert counted == loaded
    else:  # without scales, which bitsandbytes keeps outside the parameters
        assert loaded <= counted < 1.02 * loaded


def test_the_fingerprint_follows_the_files_and_not_the_place(tiny, copied):
    assert weights_fingerprint(reference(tiny)) == weights_fingerprint(reference(copied))
    with (copied / "model.safetensors").open("ab") as stream:
        stream.write(b"\0")
    changed = weights_fingerprint(reference(copied))
    before = weights_fingerprint(reference(tiny))
    assert {key for key in before if before[key] != changed[key]} == {"model/model.safetensors"}


def test_the_fingerprint_of_a_hub_model_is_its_commit_where_it_is_cached(tmp_path, monkeypatch):
    import huggingface_hub

    named = ModelReference(model="some/model", revision="v1")
    assert weights_fingerprint(named) == {"model": "some/model@v1"}
    commit = tmp_path / "snapshots" / "abc123" / "config.json"
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_a, **_k: str(commit)
    )
    assert weights_fingerprint(named) == {"model": "some/model@abc123"}


def test_a_hub_that_does_not_answer_is_asked_once_and_not_waited_for(monkeypatch):
    """The hub's own client would try each file again for half a minute."""
    import urllib.request

    from huggingface_hub import constants

    from solution.models import reference as reference_module

    asked = []

    def no_network(request, timeout):
        asked.append((request.full_url, timeout))
        raise OSError("Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    reference_module.hub_reachable.cache_clear()
    try:
        with pytest.raises(UserError, match="hub can't be reached"):
            load(ModelReference(model="nobody/nothing"))
        assert weights_fingerprint(ModelReference(model="nobody/nothing"))
        assert len(asked) == 1
    finally:
        reference_module.hub_reachable.cache_clear()


def test_the_tokenizer_loads_alone(tiny):
    assert load_tokenizer(reference(tiny)).eos_token == "<|im_end|>"


def test_the_compute_identity_names_device_attention_and_versions(tiny):
    import torch

    identity = compute_identity(load(reference(tiny, dtype="float32")))
    assert identity["device"] == detect().device
    assert identity["attention"] == "sdpa"
    assert identity["dtype"] == "float32"
    assert identity["torch"].startswith(torch.__version__.partition("+")[0])
    assert {"transformers", "bitsandbytes"} < set(identity)


def _gguf(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.gguf")


def _shards(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def _lost_shard(folder: Path) -> None:
    _shards(folder)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "lost.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_gguf, r"model\.gguf: a GGUF file; safetensors are expected\. Convert"),
        (_shards, r"one of several parts; copy model\.safetensors\.index\.json too"),
        (_lost_shard, r"names 1 files that are not there \(lost\.safetensors"),
        (_no_tokenizer, r"no tokenizer \(tokenizer\.json or tokenizer\.model\)\. Copy"),
    ],
)
def test_an_incomplete_folder_is_named_by_what_it_lacks(copied, damage, message):
    damage(copied)
    with pytest.raises(UserError, match=message):
        load(reference(copied))


def test_a_gguf_file_is_named(copied):
    _gguf(copied)
    with pytest.raises(UserError, match="a GGUF file"):
        load(reference(copied / "model.gguf"))


@pytest.fixture
def cached(tiny, tmp_path, monkeypatch):
    """A model in the hub's cache, on a machine where every request would fail."""
    from huggingface_hub import constants

    from solution.models import files

    commit = "0" * 40
    root = tmp_path / "hub/models--org--tiny"
    shutil.copytree(tiny, root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs/main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        "huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub")
    )
    asked = []
    monkeypatch.setattr(files, "hub_reachable", lambda: asked.append(1))
    return root, asked


def test_a_model_in_the_cache_asks_nothing_of_the_hub(cached, capfd):
    _, asked = cached
    loaded = load(ModelReference(model="org/tiny"))
    assert weights_fingerprint(loaded.reference) == {"model": "org/tiny@" + "0" * 40}
    assert asked == []
    assert capfd.readouterr().err == ""


def test_a_cache_without_branches_or_with_a_part_only_says_so(cached):
    root, _ = cached
    (root / "refs/main").unlink()
    with pytest.raises(UserError, match=r"its cache has no main, but 0{40}\. Set revision"):
        load(ModelReference(model="org/tiny"))
    assert load(ModelReference(model="org/tiny", revision="0" * 40))
    (root / "snapshots" / ("0" * 40) / "model.safetensors").unlink()
    with pytest.raises(UserError, match="in the cache is incomplete: no weights"):
        load(ModelReference(model="org/tiny", revision="0" * 40))
