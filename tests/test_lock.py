"""One run a folder: who is refused, who takes over, and after how long; with invented hosts."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from etils import epath

from jaxdl import config as settings
from jaxdl.errors import UserError
from jaxdl.runs import lock, meaning, workdir

ELSEWHERE = lock.Holder("tpu-7", "another machine", 4242, 99, 1.8e9, "theirs")
HERE = lock.Holder.here()


class Time:
    """A clock that only sleeping moves; ``at`` is what happens when it comes to a second."""

    def __init__(self):
        self.now = 1000.0
        self.begin = self.now
        self.at = {}

    def sleep(self, seconds):
        self.now += seconds
        for moment in sorted(self.at):
            if self.begin + moment <= self.now:
                self.at.pop(moment)()

    @property
    def passed(self):
        return self.now - self.begin


class Stored:
    """An object in a store: what was written last is read back; nothing else is promised."""

    def __init__(self, text=None):
        self.text = text

    def __str__(self):
        return "gs://bucket/run/lock.json"

    def read_text(self):
        if self.text is None:
            raise FileNotFoundError(str(self))
        return self.text

    def write_text(self, text):
        self.text = text

    def unlink(self):
        self.text = None


def text_of(holder, count=0):
    return json.dumps({**holder._asdict(), "signs_of_life": count})


@pytest.fixture(params=["local", "gs"])
def file(request, tmp_path):
    return Stored() if request.param == "gs" else epath.Path(tmp_path / "lock.json")


def make(file, clock, me=HERE):
    said = []
    own = lock.Lock(
        file, "--workdir=runs/x", me, said.append, clock=lambda: clock.now, sleep=clock.sleep
    )
    return own, said


def take(own):
    for _ in own.rounds():
        pass


def held_by(file):
    return json.loads(file.read_text())["token"]


def test_a_free_folder_is_locked_and_freed_whatever_ends_the_run(file):
    for ended in (None, UserError, KeyboardInterrupt, SystemExit):
        own, said = make(file, Time())
        with pytest.raises(ended) if ended else contextlib.nullcontext(), own:
            take(own)
            assert json.loads(file.read_text())["pid"] == os.getpid()
            own.check()
            if ended:
                raise ended("the end")
        with pytest.raises(FileNotFoundError):
            file.read_text()
        assert not said


def test_on_this_machine_a_process_that_lives_is_named_and_waited_for_not_a_moment(file):
    clock = Time()
    theirs = HERE._replace(token="theirs")
    file.write_text(text_of(theirs))
    own, _ = make(file, clock)
    with pytest.raises(UserError) as caught, own:
        take(own)
    message = str(caught.value)
    assert (
        f"--workdir=runs/x is in use by process {os.getpid()} on host {HERE.host} since" in message
    )
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]", message)
    assert str(file) in message
    assert "\n" not in message
    assert clock.passed == 0
    assert held_by(file) == "theirs"  # and is left to them


@pytest.mark.parametrize(
    "gone", [HERE._replace(pid=2**22 + 1), HERE._replace(started=HERE.started - 1)]
)
def test_on_this_machine_a_process_that_is_gone_is_followed_at_once(gone, file):
    # One that never was, and one whose number another process (this one) has by now.
    clock = Time()
    file.write_text(text_of(gone._replace(token="theirs")))
    own, said = make(file, clock)
    with own:
        take(own)
        assert held_by(file) == HERE.token
    (line,) = said
    assert "is gone: taken over" in line
    assert clock.passed <= lock.SETTLE_REMOTE


@pytest.mark.parametrize("since", [0.0, 1.8e9, 1e10])  # its clock is its own business
def test_elsewhere_a_process_that_gives_signs_of_life_is_refused_to(since, file):
    clock, theirs = Time(), ELSEWHERE._replace(since=since)
    file.write_text(text_of(theirs))
    clock.at[lock.BEAT - 1] = lambda: file.write_text(text_of(theirs, 1))
    own, said = make(file, clock)
    with pytest.raises(UserError, match="in use by process 4242 on host tpu-7 since"), own:
        take(own)
    assert clock.passed <= lock.BEAT + 1
    assert "taken over if it gives no sign of life for 60 seconds" in said[0]
    assert held_by(file) == "theirs"


@pytest.mark.parametrize("text", [text_of(ELSEWHERE), text_of(ELSEWHERE)[:40], ""])
def test_elsewhere_silence_is_taken_for_the_end(text, file):
    clock = Time()
    file.write_text(text)
    own, said = make(file, clock)
    with own:
        take(own)
        assert held_by(file) == HERE.token
    assert lock.SILENCE <= clock.passed <= lock.SILENCE + 3
    assert len(said) == 1


def test_where_the_system_tells_nothing_of_processes_only_signs_of_life_count(file, monkeypatch):
    monkeypatch.setattr(lock, "_space", lambda: "")
    monkeypatch.setattr(lock, "_start_of", lambda pid: None)
    clock, theirs = Time(), HERE._replace(space="", started=None, token="theirs")
    file.write_text(text_of(theirs))
    own, _ = make(file, clock, lock.Holder.here())
    with own:
        take(own)
    assert clock.passed >= lock.SILENCE


def test_one_of_two_that_take_over_at_once_has_it(file):
    clock = Time()
    file.write_text(text_of(ELSEWHERE._replace(pid=1)))
    rival = ELSEWHERE._replace(host="tpu-8", token="rival")
    # It saw what we saw, and writes while we wait for such as it.
    clock.at[lock.SILENCE + 0.25] = lambda: file.write_text(text_of(rival))
    own, _ = make(file, clock)
    with pytest.raises(UserError, match="on host tpu-8"), own:
        take(own)
    assert held_by(file) == "rival"


def test_of_two_that_take_over_on_one_machine_the_second_sees_the_first_however_slow(
    tmp_path, monkeypatch
):
    file, gone = epath.Path(tmp_path / "lock.json"), HERE._replace(pid=2**22 + 1)
    file.write_text(text_of(gone._replace(token="theirs")))
    slow, rival = (make(file, Time(), HERE._replace(token=token))[0] for token in ("slow", "rival"))
    write, tried = slow._write, []

    def late():
        """Between what it saw and what it writes, another comes, and is there for long."""
        tried.append(rival._take(over=file.read_text()))
        write()

    monkeypatch.setattr(slow, "_write", late)
    with slow:
        take(slow)
        assert tried == [False]
        assert held_by(file) == "slow"
        with pytest.raises(UserError, match="in use by"):
            take(rival)
        slow.check()


def test_a_folder_that_another_run_was_in_meanwhile_is_not_taken_for_what_it_was(tmp_path):
    folder, config = epath.Path(tmp_path / "run"), settings.default()
    claim = lambda before: workdir.claimed(
        folder, config, functools.partial(meaning.check_standing, folder, before)
    )
    empty = meaning.standing(folder)
    with claim(empty):
        (folder / "checkpoints" / "7").mkdir(parents=True)
    kept = (folder / "config.json").read_text()
    config.seed += 1
    with (
        pytest.raises(UserError, match="was in use by another run while this one began: start it"),
        claim(empty),
    ):
        pass
    assert (folder / "config.json").read_text() == kept  # nothing is written
    assert not (folder / "lock.json").exists()
    with claim(meaning.standing(folder)):
        assert (folder / "config.json").read_text() != kept


def test_one_of_two_that_find_an_object_store_empty_has_it():
    file, clock, said = Stored(), Time(), []
    rival = ELSEWHERE._replace(token="rival")
    clock.at[lock.SETTLE_REMOTE / 2] = lambda: file.write_text(text_of(rival))
    clock.at[15.0] = lambda: file.write_text(text_of(rival, 1))
    own, said = make(file, clock)
    with pytest.raises(UserError, match="on host tpu-7"), own:
        take(own)
    assert held_by(file) == "rival"
    assert len(said) == 1


def test_signs_of_life_are_given_and_a_lock_that_was_lost_ends_the_run(file):
    own, _ = make(file, Time())
    with own:
        take(own)
        before = file.read_text()
        own.beat()
        assert file.read_text() != before
        file.unlink()  # by hand: nobody else is there, so it stays ours
        own.beat()
        assert held_by(file) == HERE.token
        own.check()
        file.write_text(text_of(ELSEWHERE))
        own.beat()
        with pytest.raises(UserError, match="taken over by process 4242 on host tpu-7"):
            own.check()
    assert held_by(file) == "theirs"


def test_a_thread_gives_the_signs_and_outlives_a_file_system_that_is_away(file, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.001)
    beats, away = [], threading.Event()
    own, _ = make(file, Time())

    def beat():
        beats.append(1)
        if len(beats) == 1:
            raise OSError("stale file handle")
        if len(beats) > 2:
            away.set()

    monkeypatch.setattr(own, "beat", beat)
    with own:
        take(own)
        assert away.wait(10)
    ended = len(beats)
    assert not own._thread.is_alive()
    assert ended == len(beats)


# Real processes

HOLD = """
import sys, time
from etils import epath
from jaxdl.runs import lock
with lock.Lock(epath.Path(sys.argv[1]), "it") as own:
    for _ in own.rounds(): pass
    assert "jax" not in sys.modules
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_process_that_is_killed_is_followed_by_the_next(tmp_path):
    file, clock = epath.Path(tmp_path / "lock.json"), Time()
    argv = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        own, _ = make(file, clock)
        with pytest.raises(UserError, match=f"in use by process {process.pid} "), own:
            take(own)
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
        own, said = make(file, clock)
        with own:
            take(own)
            assert held_by(file) == HERE.token
        assert f"process {process.pid} on host" in said[0]
    assert clock.passed <= 1
    assert not [*tmp_path.iterdir()]


# Several hosts of one run


class Hosts:
    """What process 0 tells is kept for another that is asked later."""

    def __init__(self, monkeypatch):
        self.told, self.index = [], 0
        monkeypatch.setattr(workdir.jax, "process_count", lambda: 2)
        monkeypatch.setattr(workdir.jax, "process_index", lambda: self.index)
        monkeypatch.setattr(workdir.multihost_utils, "broadcast_one_to_all", self.broadcast)

    def broadcast(self, told):
        if self.index == 0:
            self.told.append(told)
            return told
        assert told.shape == self.told[0].shape
        assert told.dtype == np.uint8
        return self.told.pop(0)


def test_all_hosts_of_a_run_go_on_or_end_together(tmp_path, monkeypatch):
    hosts = Hosts(monkeypatch)
    clock = Time()
    file = epath.Path(tmp_path / "run" / "lock.json")
    monkeypatch.setattr(lock.Lock.__init__, "__defaults__", (
        None, lambda line: None, lambda: clock.now, clock.sleep
    ))  # fmt: skip

    def on(index):
        hosts.index = index
        with workdir.held(file, "--workdir=runs/x"):
            return held_by(file)

    mine = on(0)
    file.write_text(text_of(ELSEWHERE))
    assert on(1) == "theirs"  # whoever holds it: the first host said that all is well
    assert mine != "theirs"
    assert not hosts.told
    clock.at[clock.passed + 20] = lambda: file.write_text(text_of(ELSEWHERE, 1))
    messages = []
    for index in (0, 1):
        with pytest.raises(UserError) as caught:
            on(index)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "in use by process 4242 on host tpu-7" in messages[0]
    assert not hosts.told
