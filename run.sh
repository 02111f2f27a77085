#!/usr/bin/env bash
# Makes the environment on the first call, then runs `python -m solution "$@"` in it.
set -euo pipefail

root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
venv=$(realpath -m "${EXAMQA_VENV:-$root/.venv}")

case ${1:-help} in
  help | -h | --help)
    cat "$root/solution/help.txt"
    exit
    ;;
esac

# Only the project and its environment are importable: neither files that happen to lie in the
# user's folder nor packages of another environment take the place of ours.
export PYTHONPATH=$root PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1
# Without bytecode every command would compile its imports again: 21 s of CPU for transformers
# on a slow core, 8 s with it.
unset PYTHONDONTWRITEBYTECODE
# Threads that wait give the core away soon: two runs at once share a small machine fairly,
# where they would otherwise slow each other down tenfold.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}

# shellcheck source=requirements/setup.sh
source "$root/requirements/setup.sh"
if ! is_ready; then
  grep -q "^  $1 " "$root/solution/help.txt" || [[ $1 == --version ]] ||
    fail "unknown command '$1'; ./run.sh help lists them."
  set_up
fi

python=$venv/bin/python

if [[ $1 != test ]]; then
  exec "$python" -m solution "$@"
fi
shift
cd "$root"
if (($# == 0)); then
  "$python" -m ruff check .
  "$python" -m ruff format --check .
  "$python" -m mypy
  # Two processes of one thread each: the files of the tests are shared out between them.
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
  set -- -n 2 --dist loadfile
fi
exec "$python" -m pytest "$@"
