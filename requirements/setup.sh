# shellcheck shell=bash disable=SC2154
# The set-up behind run.sh, which sources this file and sets $root and $venv.
#
# $venv/.examqa is written before anything else and proves that run.sh made the environment;
# $venv/.stamp is written last and holds stack, Python and the hash of its list. Without a stamp
# the environment is made again; where only the list changed, it is installed over the old one.

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 2
}

hash_of() {
  local sum
  sum=$(sha256sum <"$root/requirements/$1.txt")
  printf '%s' "${sum%% *}"
}

# The environment is of the wanted stack and Python, whatever its list.
is_same_kind() {
  have_stack='' have_python='' have_hash=''
  [[ -x $venv/bin/python && -f $venv/.stamp ]] || return 1
  read -r have_stack have_python have_hash <"$venv/.stamp" || true
  [[ -n $have_hash && ${EXAMQA_STACK:-$have_stack} == "$have_stack" ]] || return 1
  [[ -z ${EXAMQA_PYTHON:-} || $("$EXAMQA_PYTHON" -V 2>&1) == "Python $have_python" ]]
}

is_ready() { is_same_kind && [[ $have_hash == "$(hash_of "$have_stack")" ]]; }

set_up() {
  [[ $(uname -s) == Linux ]] ||
    fail "the packages are for Linux. On Windows use WSL 2, on a Mac a Linux container."
  [[ ! -e $venv || -e $venv/.examqa || -e $venv/.stamp || -z $(ls -A "$venv") ]] ||
    fail "$venv was not made by run.sh. Move it away, or set EXAMQA_VENV to another folder."
  mkdir -p "$(dirname "$venv")" || fail "$venv: its folder cannot be made; set EXAMQA_VENV."
  # Of two first calls at once the second waits, and then finds the environment ready.
  (
    flock -n 9 || { say "Another call is setting up $venv; waiting for it." && flock 9; }
    is_ready || install_stack
  ) 9>"$venv.lock" || exit $?
}

install_stack() {
  local stack reason python
  if is_same_kind; then
    stack=$have_stack
    say "Updating the $stack stack in $venv: its list of packages changed."
    rm -f "$venv/.stamp"
  else
    choose_stack
    find_python
    require_space
    say "Setting up the $stack stack in $venv ($reason)."
    say "$(size_of "$stack") Later calls start at once and need no network."
    rm -rf "$venv" && mkdir "$venv" && touch "$venv/.examqa" && "$python" -m venv "$venv" >&2 ||
      fail "$python could not make $venv (see above)."
  fi
  local began=$SECONDS log=$venv/setup.log
  : >"$log"
  { install_list && "$venv/bin/python" -c 'import torch' >>"$log" 2>&1; } || explain_failure
  printf '%s %s %s\n' "$stack" "$("$venv/bin/python" -V | cut -d' ' -f2)" "$(hash_of "$stack")" \
    >"$venv/.stamp.new" && mv "$venv/.stamp.new" "$venv/.stamp" ||
    fail "$venv/.stamp could not be written."
  say "Done in $((SECONDS - began)) s."
}

# Sets $stack and $reason. Volta is 7.0 and 7.2; Turing (7.5) is still served by newer torch.
choose_stack() {
  stack=${EXAMQA_STACK:-cpu} reason="EXAMQA_STACK is set"
  [[ " cpu v100 gpu " == *" $stack "* ]] ||
    fail "EXAMQA_STACK=$stack: expected one of cpu v100 gpu."
  [[ -z ${EXAMQA_STACK:-} ]] || return 0
  reason="nvidia-smi shows no card"
  local lowest
  lowest=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    grep -E '^[0-9]+\.[0-9]+$' | sort -V | head -n 1) || return 0
  reason="the card's compute capability is $lowest"
  case $lowest in
    7.[0-4]) stack=v100 ;;
    [1-6].*) reason+=", older than any the GPU stacks serve" ;;
    *) stack=gpu ;;
  esac
}

# Sets $python: the newest that has wheels for everything in the list.
find_python() {
  local newest=13 candidate candidates=(python3.13 python3.12 python3.11 python3)
  [[ $stack != v100 ]] || newest=12 # xformers 0.0.29.post3 has no build for 3.13
  [[ -z ${EXAMQA_PYTHON:-} ]] || candidates=("$EXAMQA_PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" - "$newest" 2>/dev/null <<'PYTHON'; then
import ensurepip, sys, venv
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, int(sys.argv[1])))
PYTHON
      python=$candidate
      return
    fi
  done
  fail "the $stack stack needs Python 3.11 to 3.$newest with its venv module" \
    "(Debian, Ubuntu: apt install python3-venv); tried ${candidates[*]}." \
    "Install one or name it in EXAMQA_PYTHON."
}

size_of() {
  case $1 in
    cpu) echo "0.5 GB to download and 1.7 GB on disk where pip finds a CPU wheel of torch (as" \
      "with PIP_FIND_LINKS), else 3 GB and 5.4 GB; 1 to 5 minutes on a fast line." ;;
    v100) echo "3 GB to download, 6.2 GB on disk; 3 to 15 minutes on a fast line." ;;
    gpu) echo "3.3 GB to download, 7 GB on disk; 3 to 15 minutes on a fast line." ;;
  esac
}

free_gb() { df -Pk "$(dirname "$venv")" | awk 'NR == 2 {print int($4 / 1048576)}'; }

require_space() {
  local needed=3 free
  [[ $stack == cpu ]] || needed=8
  free=$(free_gb)
  ((free >= needed)) || fail "no disk space: the $stack stack needs $needed GB in" \
    "$(dirname "$venv"), $free GB are free. Make room or set EXAMQA_VENV to another disk."
}

# uv reads none of pip's variables; without them a local wheel or a mirror would not be found.
# A CPU build of torch declares what it needs, the registry's build the CUDA libraries: torch
# comes first, with its dependencies. The GPU lists name them all.
install_list() {
  local list=$root/requirements/$stack.txt
  [[ -z ${PIP_FIND_LINKS:-} ]] || export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS// /,}}
  [[ -z ${PIP_INDEX_URL:-} ]] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}
  [[ -z ${PIP_EXTRA_INDEX_URL:-} ]] || export UV_INDEX=${UV_INDEX:-$PIP_EXTRA_INDEX_URL} \
    UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv >>"$log" 2>&1 || return
  if [[ $stack == cpu ]]; then
    uv_install --constraint "$list" "$(grep '^torch==' "$list")" || return
  fi
  uv_install --no-deps --requirement "$list"
}

uv_install() {
  "$venv/bin/python" -m uv pip install --python "$venv/bin/python" "$@" 2>&1 | tee -a "$log" |
    { grep --line-buffered -E '[MG]i?B\)' >&2 || true; }
}

explain_failure() {
  local network='dns error|error sending request|Failed to fetch|Connection|Retrying|timed out'
  if (($(free_gb) == 0)) || grep -qiE 'no space left|os error 28|disk quota' "$log"; then
    fail "no disk space left while setting up. Make room and run the command again ($log)."
  elif grep -qE "$network" "$log"; then
    fail "the package registry was not reached. Check the network (or PIP_INDEX_URL, for a" \
      "mirror) and run the command again ($log)."
  fi
  fail "setting up failed: $(grep -v '^$' "$log" | tail -n 1) (all of it in $log)"
}
