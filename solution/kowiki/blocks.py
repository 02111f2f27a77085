"""The blocks of a bzip2 file, each decompressed on its own.

A bzip2 file is a row of blocks of up to 900 kB, which begin at any bit with a 48-bit mark. So a
reader may start in the middle (to share the work and to resume), and one that is broken costs
only itself, as with the tool bzip2recover.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = 0x314159265359  # pi: a block begins
END = 0x177245385090  # its square root: a stream ends
_READ = 1 << 20
# No block is longer than 900 kB and what coding may add to it.
_LONGEST = 3 << 20


class Block(NamedTuple):
    """One block: the bit where it begins and its bytes, None where they can't be had."""

    bit: int
    data: bytes | None


def read_blocks(path: Path, start: int) -> Iterator[Block]:
    """The blocks that begin at byte `start` of the file or later, to its end.

    A broken block, also one that the file's end cuts off, comes with no data.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        data, base, begun = b"", start, -1
        while True:
            more = stream.read(_READ)
            data += more
            for bit, mark in _marks(data, begun):
                if begun >= 0:
                    yield Block(base * 8 + begun, _decompress(data, begun, bit))
                begun = bit if mark == BLOCK else -1
            if not more:
                if begun >= 0:
                    yield Block(base * 8 + begun, None)
                return
            if begun >= 0 and len(data) - begun // 8 > _LONGEST:
                yield Block(base * 8 + begun, None)
                begun = -1
            # Keep the block that is not finished, and its mark out of the next search.
            keep = begun // 8 if begun >= 0 else max(len(data) - 6, 0)
            data, base = data[keep:], base + keep
            begun = begun - keep * 8 if begun >= 0 else -1


def _marks(data: bytes, after: int) -> list[tuple[int, int]]:
    """Bit and kind of every mark that begins behind the bit `after`, in order."""
    found = []
    for mark in (BLOCK, END):
        for shift in range(8):
            window = (mark << 8 - shift).to_bytes(7, "big")
            # With a shift, only the five bytes in the middle are the mark's alone.
            sought, lead = (window[1:6], 1) if shift else (window[:6], 0)
            at = data.find(sought)
            while at >= 0:
                bit = (at - lead) * 8 + shift
                seven = data[at - lead : at - lead + 7].ljust(7, b"\0")
                whole = int.from_bytes(seven, "big") >> 8 - shift & (1 << 48) - 1
                if at >= lead and bit > after and whole == mark:
                    found.append((bit, mark))
                at = data.find(sought, at + 1)
    return sorted(found)


def _decompress(data: bytes, start: int, stop: int) -> bytes | None:
    """The bytes of the block in these bits, wrapped as a stream of one block."""
    size = stop - start
    bits = int.from_bytes(data[start // 8 : (stop + 7) // 8], "big") >> -stop % 8
    bits &= (1 << size) - 1
    checksum = bits >> max(size - 80, 0) & 0xFFFFFFFF  # behind the mark; also the stream's
    stream = (int.from_bytes(b"BZh9", "big") << size | bits) << 80 | END << 32 | checksum
    padding = -size % 8
    try:
        return bz2.decompress(
            (stream << padding).to_bytes((32 + size + 80 + padding) // 8, "big")
        )
    except (OSError, ValueError, EOFError):
        return None
