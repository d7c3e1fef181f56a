"""What a person sees: a live line on a terminal, plain lines elsewhere."""

import os
import pty
import re
import subprocess
import sys

from launching import ROOT, SHORT


def command(folder):
    file = ROOT / "experiments" / "mlp.py"
    return [sys.executable, "-m", "jaxdl.launch", f"--config={file}", f"--workdir={folder}", *SHORT]


def test_terminal_shows_step_figures_speed_and_time_left(tmp_path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    process = subprocess.Popen(command(tmp_path), stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux ends a terminal so
            break
        if not part:
            break
        shown += part
    assert process.wait(timeout=60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"train \S+ 12/12 measuring", text)
    assert re.search(
        r"train \S+ 12/12 epoch +0\.1 accuracy [\d.]+ loss [\d.]+ \d+ examples/s 0:00:00", text
    )


def test_plain_lines_elsewhere(tmp_path):
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert re.search(r"step +12 epoch +0\.1 eval  accuracy [\d.]+ loss [\d.]+", done.stdout)
    assert re.search(r"examples/s, \d+ s left", done.stdout)
