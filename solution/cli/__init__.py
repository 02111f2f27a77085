"""The command line of `./run.sh`."""

from solution.cli.commands import app
from solution.cli.main import help_text, main

__all__ = ["app", "help_text", "main"]
