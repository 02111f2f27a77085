"""Kills a training many times at random and holds what it ends with against one left alone.

    python tests/finetune/kill.py [--kills 20] [--seed 0]

Not collected by pytest: it takes minutes. Every kill is a SIGKILL at a random moment after the
process has kept a checkpoint of its own; it ends with exit 1 where losses, scores or the
adapter's bytes differ.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]  # helpers, solution
from conftest import World

FILES = ("adapter/adapter_model.safetensors", "predictions.parquet")


def main() -> int:
    """Say how often it was killed and whether the results are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        whole = World(Path(place) / "whole")
        slow = ("--set", "train.epochs=40", "--set", "train.save_steps=1")
        process = whole.start(*slow)
        process.communicate()
        seconds = whole.metrics()["training"]["training_seconds"]
        world, kills = whole.copy(Path(place) / "killed"), 0
        while not world.run.exists():
            before = set(world.checkpoints)
            process = world.start(*slow)
            while before.issuperset(world.checkpoints) and process.poll() is None:
                time.sleep(0.01)
            if kills < given.kills:
                time.sleep(rng.uniform(0, seconds / given.kills / 2))
                process.kill()
                kills += process.wait() != 0
            process.communicate()
            new = set(world.checkpoints) - before
            print(f"{kills} kills, {len(new)} new whole checkpoints", flush=True)
        same = all(
            (world.run / name).read_bytes() == (whole.run / name).read_bytes() for name in FILES
        )
        ours, theirs = world.metrics()["training"], whole.metrics()["training"]
        same = same and all(ours[key] == theirs[key] for key in ("loss", "validation"))
    print(f"killed {kills} times: {'the same' if same else 'DIFFERENT'} losses and adapter")
    return 0 if same and kills >= given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
