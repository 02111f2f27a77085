"""The doctor on machines that we do not have: cards, drivers and builds of torch."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from solution.models import Gpu, Hardware, doctor
from solution.models.doctor import (
    Build,
    Driver,
    card_obstacle,
    installed_stack,
    query_driver,
    supports,
    verdicts,
)

GIB = 2**30
PLENTY = 100 * GIB
CPU = Build("2.13.0+cpu", None, ())
CUDA_12 = Build(
    "2.6.0", "12.4", ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
)
CUDA_13 = Build("2.14.1", "13.0", ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"))
NONE = Hardware((), "a processor", frozenset(), 2, 16 * GIB, 10 * GIB)
V100 = Driver("Tesla V100-PCIE-32GB", (7, 0), "550.54.15")
A100 = Driver("NVIDIA A100", (8, 0), "550.54.15")


def with_card(driver: Driver, free: int) -> Hardware:
    return replace(NONE, cards=(Gpu(driver.card, driver.capability, 32 * GIB, free * GIB),))


@pytest.mark.parametrize(
    ("architectures", "capability", "served"),
    [
        (("sm_70",), (7, 0), True),
        (("sm_75",), (7, 0), False),
        (("sm_70",), (7, 5), True),
        (("sm_80", "sm_86"), (8, 9), True),
        (("sm_80",), (9, 0), False),
        (("sm_80", "compute_80"), (9, 0), True),
        (("compute_90",), (8, 0), False),
        (("sm_90a",), (9, 0), True),
        (("sm_100a",), (10, 3), False),
        (("sm_120",), (12, 0), True),
        ((), (8, 0), False),
        (("gfx90a",), (9, 0), False),
    ],
)
def test_code_runs_on_cards_of_its_own_generation(architectures, capability, served):
    assert supports(architectures, capability) is served


def test_a_machine_without_a_card():
    assert card_obstacle(NONE, CPU, None) == "no NVIDIA card"


@pytest.mark.parametrize(("driver", "stack"), [(V100, "v100"), (A100, "gpu")])
def test_a_cpu_stack_beside_a_card_names_the_stack_for_it(driver, stack):
    obstacle = card_obstacle(NONE, CPU, driver)
    assert "built without CUDA" in obstacle
    assert f"EXAMQA_STACK={stack}" in obstacle


def test_a_torch_without_code_for_the_card_is_named():
    obstacle = card_obstacle(with_card(V100, 31), CUDA_13, V100)
    assert "torch 2.14.1 has no code for sm_70" in obstacle
    assert "EXAMQA_STACK=v100" in obstacle


def test_a_card_that_torch_cannot_reach_points_at_the_driver():
    obstacle = card_obstacle(NONE, CUDA_13, A100)
    assert "driver 550.54.15 may be too old for CUDA 13.0" in obstacle


def test_a_card_too_old_for_triton_is_an_obstacle():
    assert "7.0 or later" in card_obstacle(NONE, CPU, replace(V100, capability=(6, 1)))


@pytest.mark.parametrize(
    ("driver", "build"), [(V100, CUDA_12), (A100, CUDA_12), (A100, CUDA_13)]
)
def test_a_fitting_stack_has_no_obstacle(driver, build):
    assert card_obstacle(with_card(driver, 31), build, driver) is None


def said(hardware: Hardware, obstacle: str | None, disk: int = PLENTY) -> dict[str, str]:
    lines = [line for line in verdicts(hardware, obstacle, disk) if not line.startswith(" ")]
    return {line[5:].split(":")[0]: line for line in lines}


def test_without_a_card_the_embedded_default_runs_and_the_large_model_does_not():
    lines = said(NONE, "no NVIDIA card")
    assert lines["the embedded default"].startswith("yes")
    sizes = "to 2 B parameters in float32, 4 B parameters in bfloat16"
    assert sizes in lines["scoring on the processor"]
    for action in ("scoring", "fine-tuning"):
        assert lines[f"{action} Qwen2.5-32B in 4 bit"].endswith("no NVIDIA card")


@pytest.mark.parametrize(
    ("free", "scoring", "tuning"), [(31, "yes", "yes"), (22, "yes", "no"), (15, "no", "no")]
)
def test_the_large_model_needs_room_on_the_card(free, scoring, tuning):
    lines = said(with_card(V100, free), None)
    assert lines["scoring Qwen2.5-32B in 4 bit"].startswith(scoring)
    assert lines["fine-tuning Qwen2.5-32B in 4 bit"].startswith(tuning)
    assert "float16" in lines["scoring on the card"]


def test_the_large_model_needs_room_on_disk():
    line = said(with_card(V100, 31), None, disk=5 * GIB)["scoring Qwen2.5-32B in 4 bit"]
    assert line.startswith("no") and "GiB of disk" in line


def test_a_card_behind_an_obstacle_leaves_the_processor():
    assert "scoring on the processor" in said(with_card(V100, 31), "some obstacle")


def test_the_driver_is_asked_for_its_first_card(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Tesla V100-SXM2-32GB, 7.0, 550.54.15'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert query_driver() == Driver("Tesla V100-SXM2-32GB", (7, 0), "550.54.15")
    program.write_text("#!/bin/sh\necho 'No devices were found'\n")
    assert query_driver() is None
    program.unlink()
    assert query_driver() is None


def test_the_stack_is_read_from_the_stamp(tmp_path):
    assert installed_stack(tmp_path) is None
    (tmp_path / ".stamp").write_text("v100 3.11.7 abc\n")
    assert installed_stack(tmp_path) == "v100"


def test_the_report_on_this_machine_names_stack_versions_and_verdicts():
    import torch

    text = doctor()
    assert str(torch.__version__) in text
    assert sys.prefix in text
    assert "unsloth 20" in text
    assert "yes  the embedded default" in text
    if shutil.which("nvidia-smi") is None:
        assert "card: none" in text


def test_the_report_imports_neither_unsloth_nor_transformers():
    code = (
        "import sys; from solution.models import doctor; doctor(); "
        "print([m for m in ('unsloth', 'transformers', 'trl', 'peft') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
