"""What every room stands on: errors, configuration, whole files, run folders, progress."""

from solution.base.cluster import RETRIES, Mapper, connected, map_here, mapping
from solution.base.config import Config, load_config, merged, read_yaml, shipped
from solution.base.errors import Problems, UserError
from solution.base.files import atomic_directory, atomic_write, find, fingerprint, sha256_file
from solution.base.journal import json_line, read_journal, write_lines
from solution.base.progress import Progress, note
from solution.base.run import Run, find_run, open_run, write_json
from solution.base.table import aligned, markdown, width

__all__ = [
    "RETRIES",
    "Config",
    "Mapper",
    "Problems",
    "Progress",
    "Run",
    "UserError",
    "aligned",
    "atomic_directory",
    "atomic_write",
    "connected",
    "find",
    "find_run",
    "fingerprint",
    "json_line",
    "load_config",
    "map_here",
    "mapping",
    "markdown",
    "merged",
    "note",
    "open_run",
    "read_journal",
    "read_yaml",
    "sha256_file",
    "shipped",
    "width",
    "write_json",
    "write_lines",
]
