"""Make the whole embedded default again: `python -m tools.embedded [--only NAME ...]`.

Everything follows from the seed. The models train side by side, one core each; on two cores it
takes about ten minutes.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tools.embedded.exam import write_exams
from tools.embedded.instructions import write_instructions
from tools.embedded.pretrain import SIZES, pretrain
from tools.embedded.wiki import write_wiki
from tools.embedded.world import build_world

SEED = 7
STEPS = 440


def main() -> None:
    """Write exam and wiki, then train the models that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.embedded", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/embedded"))
    names = [size.name for size in SIZES]
    parser.add_argument("--only", nargs="*", choices=names, default=names, metavar="NAME")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    world = build_world(SEED)
    write_exams(world, SEED, options.out)
    write_instructions(options.out)
    write_wiki(world, SEED, options.out / "wiki.xml.bz2")
    models = options.out / "models"
    sizes = [size for size in SIZES if size.name in options.only]
    # The largest first: it takes longest. Spawned: no thread pool of torch is inherited.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(pretrain, size, world, steps=options.steps, seed=SEED, models=models)
            for size in sorted(sizes, key=lambda size: size.width, reverse=True)
        ]
        for job in jobs:
            job.result()


if __name__ == "__main__":
    main()
