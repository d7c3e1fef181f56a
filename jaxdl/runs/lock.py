"""One run a folder: a file that says which process is at work there, and since when.

It asks of a file system only that what was written is read back, so that a shared one and an object
store will do: who finds a lock looks whether its holder lives. On the same machine the system
knows. Of a process elsewhere only its sign of life is seen, a count in the file that a thread
raises every `BEAT` seconds: it is taken to be gone when that stands still for `SILENCE` seconds on
the watcher's own clock, so that the hosts' clocks need not agree.
"""

import contextlib
import datetime
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from etils import epath

from jaxdl.errors import UserError

# Seconds between signs of life; without one for how long a process elsewhere counts as gone.
BEAT, SILENCE = 10.0, 60.0

# Seconds from writing a lock to reading it back, for others who wrote at the same time. (Where the
# system makes a file for one of several only, none.)
SETTLE_LOCAL, SETTLE_REMOTE = 0.5, 2.0


class Holder(NamedTuple):
    """A process, told from all others.

    Attributes:
      host: its machine's name, for people.
      space: where process numbers are its own: the machine since it was switched on, and the
        container.
      pid: its number there.
      started: when it was, on the system's own clock; numbers are used again. None where the system
        does not tell.
      since: seconds since 1970 at which it took the lock.
      token: a random word, this lock's alone.
    """

    host: str
    space: str
    pid: int
    started: int | None
    since: float
    token: str

    @classmethod
    def here(cls) -> "Holder":
        """This process."""
        pid = os.getpid()
        since, token = time.time(), secrets.token_hex(8)
        return cls(socket.gethostname(), _space(), pid, _start_of(pid), since, token)

    def lives(self) -> bool | None:
        """Whether the process is there; None where that cannot be seen from here."""
        if not self.space or self.space != _space():
            return None
        started = _start_of(self.pid)
        if started is None or self.started is None:
            return None
        return started == self.started

    def __str__(self) -> str:
        when = datetime.datetime.fromtimestamp(self.since).astimezone()
        moment = when.isoformat(" ", "seconds")
        return f"process {self.pid} on host {self.host} since {moment}"


def _say(line: str) -> None:
    print(line, flush=True)  # before the wait that it tells of


class Lock:
    """The lock of one file: `rounds` takes it, leaving the context gives it back.

    Args:
      file: what says who is at work; there is none when nobody is.
      what: is locked, for the lines that tell of it.
      me: who wants it.
      say: is told, in one line, of a lock that is waited for or taken over.
      clock: seconds, as `time.monotonic`.
      sleep: as `time.sleep`.
    """

    def __init__(
        self,
        file: epath.Path,
        what: str,
        me: Holder | None = None,
        say: Callable[[str], None] = _say,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._file, self._what, self._me = file, what, me or Holder.here()
        self._say, self._clock, self._sleep = say, clock, sleep
        self._remote = "://" in str(file)
        self._count = 0
        self._tried = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken_by = ""

    # Taking it

    def rounds(self) -> Iterator[None]:
        """Takes the lock; yields about once a second while it has to wait for another's silence.

        Raises:
          UserError: another process, that lives, has it.
          OSError: the file cannot be written.
        """
        seen, began, last = None, 0.0, None
        while True:
            text = self._read()
            if text is None:
                if self._take():
                    break
            elif text != seen:
                holder = _parsed(text)
                lives = holder.lives() if holder else None
                # One that changes while it is watched has just been written.
                if lives or (last is not None and holder is not None):
                    raise UserError(self._refusal(holder))
                if lives is False:
                    self._say(f"{holder}, which held {self._what}, is gone: taken over")
                    if self._take(over=text):
                        break
                    text = None
                elif seen is None:
                    self._say(
                        f"{holder or 'a process that cannot be told'} holds {self._what}: taken "
                        f"over if it gives no sign of life for {SILENCE:.0f} seconds"
                    )
                seen, began, last = text, self._clock(), holder
            elif self._clock() - began >= SILENCE and self._take(over=text):
                break
            self._sleep(1.0)
            yield
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)
        self._thread.start()

    def _refusal(self, holder: Holder) -> str:
        return (
            f"{self._what} is in use by {holder}: wait until it ends, stop it, or name another "
            f"--workdir (if you know that it is gone, remove {self._file})"
        )

    def _take(self, over: str | None = None) -> bool:
        """Writes the lock, if nobody else does; ``over`` is the lock of one that is gone."""
        self._tried = True
        if over is None and not self._remote:
            try:
                with open(self._file, "x") as stream:  # which epath does not know
                    stream.write(self._text())
                return True
            except FileExistsError:
                return False
        with self._alone() as alone:
            if not alone or self._read() != over:
                return False
            self._write()
        # Others may have seen what we saw. Whose lock is there after a while has it.
        self._sleep(SETTLE_REMOTE if self._remote else SETTLE_LOCAL)
        return self._is_mine()

    # Keeping it

    def _keep(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(Exception):  # a file system that is away for a while
                self.beat()

    def beat(self) -> None:
        """Gives a sign of life; notices a lock that was taken away."""
        with self._alone() as alone:
            if not alone:  # the next one will do
                return
            text = self._read()
            holder = _parsed(text) if text is not None else None
            if holder is not None and holder.token != self._me.token:
                self._taken_by = str(holder)
                self._over.set()
                return
            self._count += 1
            self._write()

    def check(self) -> None:
        """Raises UserError if another process has taken the lock: this one was silent for long."""
        if self._taken_by:
            raise UserError(
                f"{self._what} was taken over by {self._taken_by}, as this process gave no sign of "
                "life for long: it ends and writes nothing more"
            )

    # Giving it back

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if not self._tried:
            return
        self._over.set()
        if self._thread is not None:
            self._thread.join(BEAT)
        with contextlib.suppress(Exception):  # then it is taken over as that of one that is gone
            if self._is_mine():
                self._file.unlink()

    # The file

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process looks at the lock in order to write it, while this one does.

        So that of two that find it left behind, on one machine, the second sees what the first
        wrote, however slow it is. Where folders cannot be locked, nobody is seen.
        """
        if self._remote:
            yield True
            return
        with contextlib.ExitStack() as stack:
            try:
                import fcntl

                folder = os.open(self._file.parent, os.O_RDONLY)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except (ImportError, OSError):  # no Unix, or a file system that has no such locks
                pass
            yield True

    def _text(self) -> str:
        return json.dumps({**self._me._asdict(), "signs_of_life": self._count}) + "\n"

    def _read(self) -> str | None:
        try:
            return self._file.read_text()
        except FileNotFoundError:
            return None

    def _write(self) -> None:
        if self._remote:  # an object is there whole or not at all
            self._file.write_text(self._text())
            return
        new = self._file.with_name(f"{self._file.name}.{self._me.token}")
        try:
            new.write_text(self._text())
            new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        text = self._read()
        holder = _parsed(text) if text is not None else None
        return holder is not None and holder.token == self._me.token


def _parsed(text: str) -> Holder | None:
    """Who wrote a lock's text; None of one that was cut short."""
    try:
        content = json.loads(text)
        return Holder(**{name: content[name] for name in Holder._fields})
    except (ValueError, TypeError, KeyError):
        return None


def _space() -> str:
    """A name for the numbers of processes: this machine since it was started, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: only signs of life tell
        return ""


def _start_of(pid: int) -> int | None:
    """When a process was started, in clock ticks since the machine was; -1 if there is none."""
    try:
        # The name, which comes second, may hold spaces and brackets.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(fields[18])
    except (FileNotFoundError, ProcessLookupError):
        return -1
    except (OSError, ValueError, IndexError):
        return None
