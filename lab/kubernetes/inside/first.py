"""The first process of the node's namespaces: prepares them, runs the node's programs, ends all.

When it ends, the kernel ends every process of the pid namespace, the pods' among them, and then
drops mounts and network. It is told its facts and a descriptor of the machine's own network
namespace, which only the gateway uses.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.kubernetes.api import Api
from lab.kubernetes.inside import fence, mounts, programs
from lab.kubernetes.inside.facts import Facts

#: By what its command line names it, each program that runs as long as the node does.
PROGRAMS = {
    "containerd": "containerd",
    "gateway": "lab.kubernetes.inside.gateway",
    "policy": "lab.kubernetes.inside.policy",
    "volumes": "lab.kubernetes.inside.volumes",
    "kubelet": "kubelet",
    "kube-proxy": "kube-proxy",
    "coredns": "coredns",
}
#: Those that the API server must answer first: asked too early they would wait for a long time.
AFTER_API = ("policy", "volumes", "kubelet", "kube-proxy", "coredns")
DEATHS_FILE = "deaths.json"
#: A program that dies more often than this within a minute does not get well by itself.
MOST_DEATHS = 5
DEATHS_WINDOW_S = 60.0
PAUSE_BEFORE_RESTART_S = 1.0
PODS_GRACE_S = 3.0
PAUSES = b"sleep\0infinity\0"
POLL_S = 0.2


class GivenUpError(Exception):
    """A program of the node does not stay alive."""


@dataclass
class Program:
    """One program, started again when it dies; `deaths` are times of the monotonic clock."""

    name: str
    argv: list[str]
    log: Path
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=self.pass_fds,
            )

    def is_due(self, now_s: float) -> bool:
        """Whether it is dead long enough to be started again."""
        return self.process is None and (
            not self.deaths or now_s - self.deaths[-1] >= PAUSE_BEFORE_RESTART_S
        )

    def note_death(self, code: int, now_s: float) -> None:
        """Raises GivenUpError if it has died too often."""
        self.process = None
        self.deaths.append(now_s)
        print(f"{self.name} ended with status {code}; log: {self.log}", flush=True)
        if len([at for at in self.deaths if now_s - at < DEATHS_WINDOW_S]) > MOST_DEATHS:
            raise GivenUpError(f"{self.name} died {MOST_DEATHS + 1} times in a minute")


class Node:
    """The programs of the node and their order."""

    def __init__(self, facts: Facts, outside: int) -> None:
        self._facts = facts
        self._programs = [
            Program(
                name,
                programs.command(facts, name, outside),
                Path(facts.log_folder, f"{name}.log"),
                pass_fds=(outside,) if name == "gateway" else (),
            )
            for name in PROGRAMS
        ]
        self._api_answers = False

    def run(self) -> None:
        """Returns never. Raises GivenUpError."""
        for program in self._programs:
            if program.log.exists():
                program.log.replace(program.log.with_suffix(".log.1"))
        self._write_deaths()
        while True:
            now_s = time.monotonic()
            self._api_answers = self._api_answers or self._ask_api()
            for program in self._programs:
                if program.is_due(now_s) and (self._api_answers or program.name not in AFTER_API):
                    program.start()
            self._reap()
            time.sleep(POLL_S)

    def _ask_api(self) -> bool:
        facts = self._facts
        reader = (Path(facts.reader_certificate), Path(facts.reader_key))
        return Api(facts.api_url, Path(facts.authority), *reader).is_ok("/readyz", timeout_s=1)

    def _reap(self) -> None:
        """Takes note of the programs that ended, and of what any process left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for program in self._programs:
                if program.process is not None and program.process.pid == pid:
                    program.process.returncode = code = os.waitstatus_to_exitcode(status)
                    program.note_death(code, time.monotonic())
                    self._write_deaths()

    def _write_deaths(self) -> None:
        counts = {program.name: len(program.deaths) for program in self._programs}
        Path(self._facts.folder, DEATHS_FILE).write_text(json.dumps(counts), encoding="utf-8")


def end_all() -> None:
    """Asks every process of the namespace to end, the pods' too, and gives them a moment: a
    database that is asked is there again sooner than one that was killed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGTERM)
    deadline = time.monotonic() + PODS_GRACE_S
    while time.monotonic() < deadline and _are_busy():
        time.sleep(0.05)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _are_busy() -> bool:
    """Whether a process is left that may still put something away: not this one, a dead one, or
    a pod's first process, which only sleeps and which no signal reaches."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if words and not words.endswith(PAUSES):
                return True
    return False


def main() -> None:
    facts, outside = Facts.read(Path(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        mounts.cover(facts)
        fence.set_up(facts)
        programs.configure(facts)
        Node(facts, outside).run()
    except GivenUpError as error:
        print(f"error: {error}", flush=True)
        sys.exit(1)
    finally:
        end_all()


if __name__ == "__main__":
    main()
