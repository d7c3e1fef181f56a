#!/usr/bin/env bash
# Makes a Cloud TPU VM ready for jaxdl, proves it with a sum over every chip of the slice, and then
# runs what it is told to:
#
#   ./tpu_setup.sh                                                      # set up and prove
#   ./tpu_setup.sh jaxdl.launch --config=experiments/vit.py --workdir=gs://bucket/vit
#
# The arguments are those of `python -m`, and its exit code is the script's. On a pod slice, start
# the same line on all workers. It can be run again at any time: what is there already is kept, and
# only a changed pyproject.toml (or extra) installs anew.
#
# It reads from the environment:
#   JAXDL_VENV      folder of the virtual environment (default: ~/.jaxdl-venv)
#   JAXDL_RETRIES   how often an installation is tried (default: 5)
#   JAXDL_EXTRA     extras to install (default: tpu,gcs; empty: none)
#   JAXDL_PLATFORM  platform that the devices must have (default: tpu; cpu tries this script out)
set -euo pipefail

die() {
  echo "error: $*" >&2
  exit 1
}

# Runs a command until it succeeds, with longer and longer pauses: package servers have bad moments,
# and the workers of a pod slice all ask at once. Returns its last exit code.
retry() {
  local attempts=${JAXDL_RETRIES:-5} attempt=1 pause=2 status
  while true; do
    "$@" && return 0
    status=$?
    if ((attempt >= attempts)); then
      echo "gave up after $attempt attempts: $*" >&2
      return "$status"
    fi
    echo "attempt $attempt of $attempts failed, again in $pause s: $*" >&2
    sleep "$pause"
    attempt=$((attempt + 1)) pause=$((pause * 2))
  done
}

is_recent() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the name of a Python that is new enough.
find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3; do
    if is_recent "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

# sudo -n: over `ssh --command` there is nobody to type a password.
as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# At its first boot a TPU VM upgrades itself for many minutes, and apt is locked all the while.
release_apt_lock() {
  local lock=/var/lib/dpkg/lock-frontend waited=0 unit
  for unit in unattended-upgrades apt-daily apt-daily-upgrade; do
    as_root timeout 60 systemctl stop "$unit.service" 2>/dev/null || true
  done
  while as_root fuser "$lock" &>/dev/null; do
    if ((waited >= 60)); then
      echo "taking $lock from the process that holds it" >&2
      as_root fuser -k -TERM "$lock" &>/dev/null || true
      sleep 10
      as_root fuser -k -KILL "$lock" &>/dev/null || true
      break
    fi
    ((waited > 0)) || echo "waiting for $lock" >&2
    sleep 5
    waited=$((waited + 5))
  done
  as_root dpkg --configure -a || true # packages that the upgrade left half way
}

apt_get() {
  retry as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 -q -y "$@"
}

# Installs the given packages, or the first Python that the distribution offers when none are given.
install_packages() {
  local version
  command -v apt-get >/dev/null || return 1
  release_apt_lock
  apt_get update || return 1
  if (($# > 0)); then
    apt_get install "$@"
    return
  fi
  for version in 3.13 3.12 3.11; do
    if apt-cache show "python$version-venv" &>/dev/null; then
      apt_get install "python$version" "python$version-venv"
      return
    fi
  done
  return 1
}

# Makes the virtual environment $1, unless a usable one is there.
make_venv() {
  local venv=$1 python version
  if [[ -x $venv/bin/python ]]; then
    is_recent "$venv/bin/python" ||
      die "$venv has a Python before 3.11: remove it, or name another folder in JAXDL_VENV"
    if "$venv/bin/python" -m pip --version &>/dev/null; then return; fi
  fi
  if ! python=$(find_python); then
    install_packages >&2 || true
    python=$(find_python) ||
      die "no Python 3.11 or newer, and apt-get has none: put one on PATH and run this again"
  fi
  # Debian's and Ubuntu's Python comes without the modules that make an environment.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    install_packages "python$version-venv" >&2 ||
      die "$python cannot make virtual environments: install python$version-venv"
  fi
  "$python" -m venv "$venv" >&2 ||
    die "$python could not make $venv: remove that folder and run this again"
}

install_project() {
  (cd "$1" && "$2/bin/python" -m pip install --quiet -e ".${3:+[$3]}")
}

# Writes the variables of every run to the environment $1, for this run and for later shells. One
# that is set already stays as it is.
write_variables() {
  # shellcheck disable=SC2016  # for the later shell to expand
  local line='. "$VIRTUAL_ENV/jaxdl.env"'
  cat >"$1/jaxdl.env" <<'VARIABLES'
# Written by tpu_setup.sh at each of its runs.

# Where jaxdl keeps compiled programs (jaxdl/process.py); in a slice a gs:// folder serves all hosts.
jaxdl_cache="${JAXDL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jaxdl}"
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$jaxdl_cache/xla}"
unset jaxdl_cache

# A checkpoint's transfer that stands still (fewer than 256 bytes a second for a minute) is broken
# off, and so tried again, instead of holding up the run.
export TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS="${TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS:-60}"
export TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES="${TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES:-256}"
VARIABLES
  grep -qxF "$line" "$1/bin/activate" || echo "$line" >>"$1/bin/activate"
}

# Adds up one number per device with the Python $1; the devices must be of the platform $2.
check_devices() {
  "$1" - "$2" <<'PYTHON'
import sys


def reason(error):
    return (str(error).splitlines() or [type(error).__name__])[0]


expected = sys.argv[1]
try:
    import jax
    import numpy as np

    from jaxdl import parallel
    from jaxdl.parallel import hosts
except ImportError as error:
    sys.exit(f"error: {reason(error)}: remove the virtual environment and run this again")

if expected == "tpu" and (count := hosts.count()) > 1:  # before anything touches a device
    print(f"waiting for the {count} hosts of this slice", flush=True)
    try:
        parallel.initialize()
    except Exception as error:
        sys.exit(
            f"error: the {count} hosts of this slice did not find each other ({reason(error)}): "
            "start the same line on all of them (gcloud ... ssh --worker=all)"
        )

hint = ": is this a TPU VM whose chips no other process holds?" if expected == "tpu" else ""
try:
    devices = jax.devices()
except Exception as error:
    sys.exit(f"error: no {expected} devices ({reason(error)}){hint}")
platform, n = devices[0].platform, len(devices)
if platform != expected:
    sys.exit(f"error: the platform is {platform}, not {expected}{hint}")

mesh = jax.sharding.Mesh(np.array(devices), ("all",))
spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("all"))
everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
numbers = np.arange(1, n + 1, dtype=np.int32)  # the device's own, so that none can be counted twice
try:
    x = jax.make_array_from_callback((n,), spread, lambda index: numbers[index])
    total = int(jax.jit(jax.numpy.sum, out_shardings=everywhere)(x))
except Exception as error:
    sys.exit(f"error: the devices do not work together ({reason(error)})")
if total != numbers.sum():
    sys.exit(f"error: the sum over all {n} devices is {total}, not {numbers.sum()}")
print(
    f"platform {platform}  devices {n}  local devices {jax.local_device_count()}  "
    f"processes {jax.process_count()}  sum over all devices {total}: right",
    flush=True,
)
PYTHON
}

main() {
  local script=${BASH_SOURCE[0]:-$0} root venv extra stamp status=0
  case ${1:-} in
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' "$script"
      return
      ;;
    -*) die "$1: the arguments are a module and its own arguments (see --help)" ;;
  esac
  export HOME="${HOME:-$(cd ~ && pwd)}" # a VM's startup script has none

  root=$(cd "$(dirname "$script")" && pwd)
  venv=${JAXDL_VENV:-$HOME/.jaxdl-venv}
  [[ $venv == /* ]] || venv=$PWD/$venv
  extra=${JAXDL_EXTRA-tpu,gcs}
  [[ -f $root/pyproject.toml ]] || die "$root holds no pyproject.toml: run this in its checkout"

  stamp="$(cksum <"$root/pyproject.toml") $extra $root"
  if [[ ! -x $venv/bin/python || $(cat "$venv/jaxdl.stamp" 2>/dev/null) != "$stamp" ]]; then
    make_venv "$venv"
    retry install_project "$root" "$venv" "$extra" ||
      die "pip could not install jaxdl${extra:+ with the extras $extra} into $venv: see above"
    echo "$stamp" >"$venv/jaxdl.stamp" # only now: the next run makes up for one that was cut short
  fi
  write_variables "$venv"
  # shellcheck source=/dev/null
  . "$venv/jaxdl.env"

  check_devices "$venv/bin/python" "${JAXDL_PLATFORM:-tpu}" || status=$?
  # 1 has said why; anything else is a crash below Python.
  ((status <= 1)) || die "the check of the devices crashed (exit code $status): see above"
  ((status == 0)) || exit "$status"
  if (($# > 0)); then
    exec "$venv/bin/python" -m "$@"
  fi
}

# Sourced, it only defines its functions.
if [[ ${BASH_SOURCE[0]:-$0} == "$0" ]]; then
  main "$@"
fi
