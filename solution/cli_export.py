"""The actions of `export` on the command line; heavy imports only inside them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_export(command: argparse.ArgumentParser) -> None:
    """Give `export` its actions and their options."""
    actions = command.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser("merge", help="write a run's model with its adapter merged")
    action.add_argument("run", type=Path, help="a folder of runs/finetune")
    action.add_argument("--out", type=Path, required=True, help="folder to write")
    action.add_argument("--base", help="the unquantised model, where the run's is quantised")
    action.set_defaults(command=_merge)
    action = actions.add_parser("gguf", help="convert a merged model by llama.cpp")
    action.add_argument("model", type=Path, help="what `export merge` wrote")
    action.add_argument("--out", type=Path, required=True, help="file to write")
    action.add_argument("--type", default="q8_0", help="f16, bf16 or q8_0")
    action.add_argument("--llama-cpp", type=Path, help="its folder (else $LLAMA_CPP)")
    action.set_defaults(command=_gguf)
    action = actions.add_parser("push", help="upload a run's adapter to the hub, private")
    action.add_argument("run", type=Path, help="a folder of runs/finetune")
    action.add_argument("--to", required=True, help="OWNER/NAME on the hub")
    action.add_argument("--public", action="store_true", help="let everybody see it")
    action.set_defaults(command=_push)


def _merge(options: argparse.Namespace) -> None:
    from solution.finetune import merge

    print(merge(options.run, options.out, options.base))


def _gguf(options: argparse.Namespace) -> None:
    from solution.finetune import gguf

    print(gguf(options.model, options.out, options.type, options.llama_cpp))


def _push(options: argparse.Namespace) -> None:
    from solution.finetune import push

    print(push(options.run, options.to, public=options.public))
