"""Shared utilities: errors, configuration, atomic files, run folders, progress, tables."""

from solution.core.cluster import Mapper, map_here, mapping
from solution.core.config import (
    Config,
    LocalPath,
    apply_override,
    deep_merge,
    load_config,
    path_from_here,
    read_yaml,
    resolve_config,
    validate_config,
)
from solution.core.errors import ErrorCollector, UserError
from solution.core.files import (
    PROJECT,
    append_jsonl,
    atomic_directory,
    atomic_write,
    exclusive_lock,
    fingerprint,
    json_line,
    read_jsonl,
    resolve_path,
    sha256_file,
    sha256_path,
    write_json,
    write_jsonl,
)
from solution.core.progress import Progress, log
from solution.core.run_folder import Run, find_run, open_run, package_version
from solution.core.table import aligned, markdown, width
