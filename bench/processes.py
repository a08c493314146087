"""Starting, pinning, watching and ending the processes of a run.

Why here: everything that touches /proc or a process id is in this file, so that what is measured has one definition.
Processor time is utime + stime of a process with all its threads, of all that it started and that still lives, and of
the children it has waited for. The kernel counts it in ticks, mostly of 10 ms, so a measurement should take a second
or more.

Every server runs in a session of its own: so its processes are known, and Ctrl-C reaches the driver alone, which then
ends them one by one, by id.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 60.0
POLL_SECONDS = 0.02

# A server counts as done with a transfer when it has used no more than a tick for this long.
QUIET_SECONDS = 0.5
QUIET_SECONDS_MAX = 30.0


class BenchError(Exception):
    """The run cannot be trusted or cannot go on; the words say why."""


@dataclass(frozen=True)
class Cores:
    """Which processor cores the server under test may use, and which are for the load and the origin."""

    server: str
    load: str

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first allowed core for the server, the others for the rest; a single one is shared by all."""
        allowed = sorted(os.sched_getaffinity(0))
        others = allowed[1:] or allowed
        return cls(server=str(allowed[0]), load=",".join(map(str, others)))


def pinned(cores: str, command: list[str]) -> list[str]:
    """The command, bound to these cores."""
    return ["taskset", "--cpu-list", cores, *command]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server process with everything it starts."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self.errors = folder / f"{name}.stderr"
        with self.errors.open("wb") as errors:
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def wait_for_port(self, port: int) -> None:
        """Returns when something accepts connections there; fails when the process ends before."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise BenchError(f"{self.name} ended at its start: {self.last_words()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(POLL_SECONDS)
        raise BenchError(f"{self.name} does not listen on port {port}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        return self.errors.read_text(errors="replace")[-2000:].strip() or "it said nothing"

    def pids(self) -> list[int]:
        """The processes of the session that ours began: itself and what it started, whoever their parent is now."""
        numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        # The session is the sixth field of proc(5), of which _stat() leaves out the first two.
        return [pid for pid in numbers if (fields := _stat(pid)) and int(fields[3]) == self.popen.pid]

    def processor_seconds(self) -> float:
        """Processor time since the start, in seconds."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.name} has ended: {self.last_words()}")
        ticks = 0
        for pid in self.pids():
            # utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
            ticks += sum(int(field) for field in (_stat(pid) or [])[11:15])
        return ticks / TICKS_PER_SECOND

    def quiet_processor_seconds(self) -> float:
        """As above, once the process has finished what it still does after the last byte: hashing, committing."""
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        before = self.processor_seconds()
        while time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
            now = self.processor_seconds()
            if now - before <= 1 / TICKS_PER_SECOND:
                return now
            before = now
        raise BenchError(f"{self.name} does not come to rest")

    def forget_peak_memory(self) -> None:
        """Lets the next peak begin at what is resident now."""
        for pid in self.pids():
            _write_if_alive(Path(f"/proc/{pid}/clear_refs"), "5")

    def peak_memory_bytes(self) -> int:
        """Sum of VmHWM over the processes; what they share is counted for each of them."""
        kibibytes = 0
        for pid in self.pids():
            for line in _read_if_alive(Path(f"/proc/{pid}/status")).splitlines():
                if line.startswith("VmHWM:"):
                    kibibytes += int(line.split()[1])
        return kibibytes * 1024

    def stop(self) -> None:
        """Ends it and what it started: politely, then by force."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid in self.pids():
            _kill_if_alive(pid)


def empty_folder(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (the state); None when the process is gone."""
    text = _read_if_alive(Path(f"/proc/{pid}/stat"))
    return text.rpartition(")")[2].split() or None


def _read_if_alive(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _write_if_alive(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass


def _kill_if_alive(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
