"""Draw and translate rows: `python -m tools.translate [SOURCE] [--rows N] [--by BY]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from solution.core import UserError
from tools.translate.translation import translate


def main() -> int:
    """Run the command; return 2 for an error of the user."""
    parser = argparse.ArgumentParser(prog="python -m tools.translate", description=__doc__)
    parser.add_argument("source", nargs="?", default="kaist-ai/CoT-Collection")
    parser.add_argument("--rows", type=int, default=2000, help="rows to draw (2000)")
    parser.add_argument(
        "--by", default="deepl", help="deepl (DEEPL_AUTH_KEY) or a seq2seq model"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides which rows are drawn")
    parser.add_argument("--out", type=Path, help="folder of the run")
    options = parser.parse_args()
    out = options.out or Path("runs") / "translate" / f"kocot-{options.rows}"
    try:
        print(translate(options.source, options.rows, options.by, out, options.seed))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


sys.exit(main())
