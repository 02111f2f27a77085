"""What every room stands on: errors, configuration, whole files, run folders, progress."""

from solution.core.cluster import RETRIES, Mapper, connected, map_here, mapping
from solution.core.config import Config, deep_merge, load_config, read_yaml, resolve_config
from solution.core.errors import ErrorCollector, UserError
from solution.core.files import (
    atomic_directory,
    atomic_write,
    fingerprint,
    resolve_path,
    sha256_file,
)
from solution.core.journal import json_line, read_jsonl, write_jsonl
from solution.core.progress import Progress, log
from solution.core.run import Run, find_run, open_run, write_json
from solution.core.table import aligned, markdown, width

__all__ = [
    "RETRIES",
    "Config",
    "ErrorCollector",
    "Mapper",
    "Progress",
    "Run",
    "UserError",
    "aligned",
    "atomic_directory",
    "atomic_write",
    "connected",
    "deep_merge",
    "find_run",
    "fingerprint",
    "json_line",
    "load_config",
    "log",
    "map_here",
    "mapping",
    "markdown",
    "open_run",
    "read_jsonl",
    "read_yaml",
    "resolve_config",
    "resolve_path",
    "sha256_file",
    "width",
    "write_json",
    "write_jsonl",
]
