#!/usr/bin/env bash
# Makes the environment on the first call, then runs `python -m solution "$@"` in it.
set -euo pipefail

root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
venv=$(realpath -m "${EXAMQA_VENV:-$root/.venv}")

print_help() {
  cat <<'HELP'
Choose, fine-tune and submit models for Korean exam questions.

usage: ./run.sh COMMAND [OPTIONS]

  doctor      what this machine can run, and why not the rest
  explore     score candidate models on exams and rank them
  finetune    tune a model and write a submission
  plan        the memory that a fine-tuning needs, before anything is downloaded
  kowiki      make passages and questions of a Korean Wikipedia dump
  predict     answer one exam with one model
  ask         a page on this machine: one question, one or two models, every order of choices
  harness     lm-evaluation-harness with this project's engine as model exam-qa
  export      a run's model merged into its base, as GGUF, or on the hub (private)
  submit      check, score, mix and remember submissions
  report      one HTML page of finished runs, to be opened in a browser
  test        run the project's checks, or pytest alone with the arguments given
  help        this text

`./run.sh COMMAND --help` lists a command's options. The first command makes an environment
(.venv) with pinned packages and says how large it is; later ones start at once.

  EXAMQA_STACK=cpu|v100|gpu   which packages (otherwise by what nvidia-smi says of the card)
  EXAMQA_PYTHON=PATH          which Python makes the environment
  EXAMQA_VENV=DIR             where it stands (otherwise .venv beside this file)
HELP
}

case ${1:-help} in
  help | -h | --help)
    print_help
    exit
    ;;
esac

# Only the project and its environment are importable: neither files that happen to lie in the
# user's folder nor packages of another environment take the place of ours.
export PYTHONPATH=$root PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1
# Threads that wait give the core away soon: two runs at once share a small machine fairly,
# where they would otherwise slow each other down tenfold.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}

# shellcheck source=requirements/setup.sh
source "$root/requirements/setup.sh"
if ! is_ready; then
  [[ $(print_help) == *$'\n'"  $1  "* ]] || fail "unknown command '$1'; ./run.sh help lists them."
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
