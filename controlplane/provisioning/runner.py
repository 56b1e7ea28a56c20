"""Runs one playbook through ansible-runner, and reads what it tells.

A run outlives a killed worker; whoever takes the job over ends it first (`end_stale_run`). Nothing
here touches the database.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from controlplane.access import Access
from controlplane.provisioning.processes import end_processes, run_environment
from controlplane.provisioning.service import Step
from controlplane.text import as_ansible_data

OPENING_STEP = "启动剧本 · Start the playbook"
#: What every Python of a run reads first.
SHORT_LIVED = Path(__file__).parent / "short_lived"
#: After its recap a run has only to close what it has open.
LEAVING_SECONDS = 10
_TASK_ENDS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "failed",
    "runner_on_skipped": "skipped",
}


@dataclass(frozen=True)
class RunResult:
    """`outputs` is what the playbook reported under the key `controlplane`."""

    ok: bool
    outputs: Mapping[str, Any]
    error: str
    is_broken: bool = False  # another try will not help: the playbook cannot be read, or it says so


@dataclass
class PlaybookRun:
    """One try of a job; `folder` is the job's private data, `attempt` names the try's artifacts."""

    folder: Path
    playbooks_dir: Path
    playbook: str
    attempt: int
    extravars: Mapping[str, Any]
    access: Access
    timeout_seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _events: _Events | None = field(default=None, init=False)
    _timed_out: bool = field(default=False, init=False)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts" / str(self.attempt)

    @property
    def log_path(self) -> Path:
        return log_path(self.folder, self.attempt)

    def start(self) -> int:
        """Starts the run; returns its process group."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        for path in (self.folder, self.folder / "env", self.artifacts.parent):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = {"controlplane": as_ansible_data(dict(self.extravars))}
        _write_secret(self.folder / "env" / "extravars", told)
        for name, content in self.access.files.items():
            _write_secret(self.folder / name, content)
        for name, text in self.access.texts.items():
            _write_secret_text(self.folder / name, text)
        inventory = self.access.inventory
        command = [
            *(sys.executable, "-m", "ansible_runner", "run", str(self.folder)),
            *("--playbook", self.playbook, "--project-dir", str(self.playbooks_dir)),
            *("--ident", str(self.attempt), "--quiet"),
            *(("--inventory", str(self.folder / inventory)) if inventory else ()),
        ]
        with (self.folder / "runner.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.playbooks_dir,
                start_new_session=True,
            )
        self._events = _Events(self.artifacts / "job_events")
        self._deadline = time.monotonic() + self.timeout_seconds
        return self._process.pid

    def _environment(self) -> dict[str, str]:
        """What the playbook sees: no setting or secret of the control plane itself."""
        kept = {k: v for k, v in os.environ.items() if k in ("LANG", "LC_ALL", "TMPDIR", "HOME")}
        return {
            "LANG": "C.UTF-8",
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "ANSIBLE_CONFIG": str(self.playbooks_dir.parent / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "1",
            "PYTHONPATH": str(SHORT_LIVED),
            **{name: str(self.folder / file) for name, file in self.access.variables.items()},
            **run_environment(self.artifacts),
            **self.environment,
        }

    def poll(self) -> tuple[bool, list[Step]]:
        """Whether the run still goes on, and the steps that began or ended since the last poll.

        A run whose recap tells of no failure is over, though its processes take a third of a second
        more to leave (`leave`).
        """
        assert self._process is not None
        assert self._events is not None
        running = self._process.poll() is None
        if running and time.monotonic() > self._deadline:
            self._timed_out = True
            self.end()
            running = False
        steps = self._events.read(is_over=not running)
        return running and not self._events.went_well, steps

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What the playbook has reported so far; nothing where a task has failed."""
        assert self._events is not None
        return {} if self._events.last_error else self._events.outputs

    def end(self) -> None:
        """Ends every process of the run."""
        if self._process is not None:
            end_processes(self.artifacts)
            self._process.wait(timeout=10)

    def leave(self) -> None:
        """Waits until the processes of a run that went well are gone."""
        assert self._process is not None
        try:
            self._process.wait(timeout=LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()

    def result(self) -> RunResult:
        """Call once the run is over; removes the credentials it was given."""
        assert self._events is not None
        for name in (*self.access.files, *self.access.texts):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "env" / "extravars").unlink(missing_ok=True)
        if self._timed_out:
            return RunResult(False, {}, self._timeout_error())
        if self._events.went_well:
            return RunResult(True, self._events.outputs, "")
        code = _read(self.artifacts / "rc").strip()
        if code == "0":
            return RunResult(True, self._events.outputs, "")
        error = self._events.last_error or self._tail() or "the run ended without a word"
        is_unreadable = code == "4" and not self._events.last_error
        return RunResult(False, {}, error, is_unreadable or self._events.is_final)

    def _timeout_error(self) -> str:
        assert self._events is not None
        step = f" in “{self._events.last_step}”" if self._events.last_step else ""
        return f"ended after {self.timeout_seconds} s{step}: a run may not take longer"

    def _tail(self) -> str:
        """The last lines of the log, for a playbook that failed before any task; what Ansible
        itself calls the error, and not the warnings before it, where there is one."""
        text = _read(self.log_path) or _read(self.folder / "runner.log")
        lines = [line for line in _plain(text).splitlines() if line.strip()]
        errors = [i for i, line in enumerate(lines) if line.startswith("[ERROR]")]
        return "\n".join(lines[errors[-1] :][:8] if errors else lines[-8:])


class _Events:
    """ansible-runner's event files, read once each, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs: Mapping[str, Any] = {}
        self.went_well = False  # by its recap: no task is to come, and none has failed
        self.last_error = ""
        self.is_final = False
        self.last_step = ""
        self._next = 1
        self._open: dict[str, Step] = {}
        self._ordinal = 0
        # Ansible takes a second to its first task: that is a step too, or the page shows nothing.
        self._opening = Step(0, OPENING_STEP, "running", int(time.time() * 1000), None)
        self._opening_told = ""

    def read(self, is_over: bool) -> list[Step]:
        """Steps that began or ended since the last read."""
        steps: dict[int, Step] = {}
        for event in self._new_events():
            step = self._step(event)
            if step is not None:
                steps[step.ordinal] = step
        first = min((s.started_ms for s in steps.values()), default=None)
        if is_over:
            steps |= {step.ordinal: step for step in self._cut_short()}
        return [*self._opening_step(first, is_over), *steps.values()]

    def _cut_short(self) -> list[Step]:
        """Steps that will never end by themselves: their run was ended."""
        now_ms = int(time.time() * 1000)
        cut = [replace(step, state="failed", ended_ms=now_ms) for step in self._open.values()]
        self._open.clear()
        return cut

    def _opening_step(self, first_task_ms: int | None, is_over: bool) -> list[Step]:
        state = "ok" if self._ordinal else "failed" if is_over else "running"
        if state == self._opening_told or self._opening_told in ("ok", "failed"):
            return []
        self._opening_told = state
        ended_ms = first_task_ms or int(time.time() * 1000)
        return [
            replace(self._opening, state=state, ended_ms=None if state == "running" else ended_ms)
        ]

    def _new_events(self) -> Iterator[dict[str, Any]]:
        """A file is complete when its name has no `-partial`; a gap means: not written yet."""
        with suppress(FileNotFoundError):
            by_number = {
                int(p.name.split("-", 1)[0]): p
                for p in self.folder.glob("*.json")
                if "-partial" not in p.name and p.name.split("-", 1)[0].isdecimal()
            }
            while self._next in by_number:
                try:
                    event = json.loads(by_number[self._next].read_text())
                except json.JSONDecodeError:
                    return
                self._next += 1
                yield event

    def _step(self, event: dict[str, Any]) -> Step | None:
        kind, data = event.get("event", ""), event.get("event_data") or {}
        at_ms = int(datetime.fromisoformat(event["created"]).timestamp() * 1000)
        if kind == "playbook_on_stats":
            self.outputs = (data.get("artifact_data") or {}).get("controlplane") or {}
            self.outputs = self.outputs.get("outputs", self.outputs)
            self.went_well = not (data.get("failures") or data.get("dark"))
        if kind == "playbook_on_task_start":
            self._ordinal += 1
            name = data.get("task") or data.get("name") or ""
            step = Step(self._ordinal, name, "running", at_ms, None)
            self._open[data.get("task_uuid", "")] = step
            self.last_step = name
            return step
        if kind in _TASK_ENDS and data.get("task_uuid") in self._open:
            begun = self._open.pop(data["task_uuid"])
            state = _TASK_ENDS[kind]
            if state == "failed" and data.get("ignore_errors"):
                state = "ok"
            if state == "failed":
                result = data.get("res") or {}
                self.last_error = _error_text(begun.name, result)
                self.is_final = bool(result.get("is_final"))
            return Step(begun.ordinal, begun.name, state, begun.started_ms, at_ms)
        return None


def _error_text(task: str, result: Mapping[str, Any]) -> str:
    said = result.get("msg") or result.get("stderr") or result.get("censored") or "failed"
    return f"{task}: {said}"[:2000]


def log_path(folder: Path, attempt: int) -> Path:
    """Where the text of a try is, from its first line on."""
    return folder / "artifacts" / str(attempt) / "stdout"


def end_stale_run(folder: Path) -> bool:
    """Ends what a dead worker left running for this job; returns whether there was something."""
    return end_processes(folder)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _plain(text: str) -> str:
    """Without terminal colours."""
    parts = text.split("\x1b[")
    return parts[0] + "".join(p.partition("m")[2] for p in parts[1:])


def _write_secret(path: Path, content: Mapping[str, Any]) -> None:
    """JSON is YAML."""
    _write_secret_text(path, json.dumps(content, ensure_ascii=False))


def _write_secret_text(path: Path, text: str) -> None:
    """Readable by nobody else from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
