"""The number format follows the hardware."""

import pytest

from solution.core import UserError
from solution.models import Gpu, Hardware, detect, pick_dtype
from solution.models.hardware import _processor

GIB = 2**30


def machine(*capabilities: tuple[int, int], flags: tuple[str, ...] = ()) -> Hardware:
    cards = tuple(Gpu(f"card {c}", c, 32 * GIB, 31 * GIB) for c in capabilities)
    return Hardware(cards, "a processor", frozenset(flags), 2, 8 * GIB, 7 * GIB)


@pytest.mark.parametrize(
    ("hardware", "dtype"),
    [
        (machine((7, 0)), "float16"),
        (machine((7, 5)), "float16"),
        (machine((8, 0)), "bfloat16"),
        (machine((9, 0)), "bfloat16"),
        (machine((9, 0), (7, 0)), "float16"),
        (machine((7, 0), flags=("amx_bf16",)), "float16"),
        (machine(), "float32"),
        (machine(flags=("avx512f", "avx2")), "float32"),
        (machine(flags=("avx512_bf16",)), "float32"),
        (machine(flags=("amx_bf16",)), "bfloat16"),
        (machine(flags=("bf16",)), "bfloat16"),
    ],
)
def test_auto_takes_what_the_device_computes_fast(hardware, dtype):
    assert pick_dtype(hardware) == pick_dtype(hardware, "auto") == dtype


@pytest.mark.parametrize("wanted", ["float16", "float32"])
def test_what_is_asked_for_is_given(wanted):
    assert pick_dtype(machine((9, 0)), wanted) == wanted


def test_bfloat16_on_a_card_without_it_is_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"card \(7, 0\) has no bfloat16.*float16 or auto"):
        pick_dtype(machine((7, 0)), "bfloat16")


def test_bfloat16_on_a_processor_is_the_users_choice():
    assert pick_dtype(machine(), "bfloat16") == "bfloat16"


def test_this_machine_is_described():
    hardware = detect()
    assert hardware.cores >= 1
    assert 0 < hardware.free <= hardware.memory
    assert hardware.device == ("cuda" if hardware.cards else "cpu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model name\t: Xeon\nflags\t\t: fpu amx_bf16\n\nflags : other\n",
            ("Xeon", "amx_bf16"),
        ),
        ("Features\t: fp bf16\n", ("processor", "bf16")),
    ],
)
def test_processor_flags_are_read_in_either_spelling(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    name, flags = _processor(tmp_path / "cpuinfo")
    assert name == expected[0]
    assert expected[1] in flags


def test_a_system_without_cpuinfo_has_no_flags(tmp_path):
    assert _processor(tmp_path / "absent") == ("processor", frozenset())
