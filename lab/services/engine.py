"""What an engine, such as PostgreSQL, says of itself; and one server of it in this checkout."""

from __future__ import annotations

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.progress import Progress
from lab.settings import Settings
from lab.unprivileged import User

#: The administrator's name on every engine.
ADMIN = "admin"
#: One question to a server that runs, at most.
ANSWER_TIMEOUT_S = 5
PASSWORD_BYTES = 24


@dataclass(frozen=True)
class Programs:
    """Where an engine's programs are, what they need in their environment, and its clients."""

    folder: Path
    tools: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """One server: where everything of it is, who runs it, its ports by their settings' names."""

    name: str
    state: Path
    programs: Programs
    user: User
    ports: Mapping[str, int]

    @property
    def port(self) -> int:
        """The one for clients."""
        return self.ports[self.name]

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def log(self) -> Path:
        return self.state / f"{self.name}.log"

    @property
    def password_file(self) -> Path:
        return self.state / "password"

    @property
    def tls(self) -> Path:
        """Folder of `server.crt`, `server.key` and `ca.crt`."""
        return self.state / "tls"

    @property
    def pid_file(self) -> Path:
        return self.state / "pid"

    def password(self) -> str:
        """The administrator's."""
        return self.password_file.read_text(encoding="ascii")

    def write(self, path: Path, text: str) -> None:
        """Writes a file of the server's, readable for its user alone."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self.user.give(path)

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the caller's reaches a program; its messages are English and plain."""
        own = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.state)}
        return {**own, **self.programs.environment, **more}

    def run(
        self,
        command: Sequence[str | Path],
        *,
        text: str = "",
        timeout_s: float | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of its programs to the end as its user, with `text` as its input."""
        return subprocess.run(
            [str(part) for part in command],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            cwd=self.state,
            env=self.environment(**environment),
            umask=0o077,
            **self.user.popen_options(),
        )


@dataclass(frozen=True)
class Command:
    """A process that stays."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)


class Engine(ABC):
    """How one kind of server is installed, initialised, configured, run and asked."""

    #: Its folder in the state, its port's name in the settings, its name on the command line.
    name: str
    #: For people.
    title: str
    #: What its processes execute, by file name.
    executables: frozenset[str]
    #: The signal for an orderly end, which does not wait for clients.
    ends_on: signal.Signals = signal.SIGTERM
    #: Names of its other ports in the settings.
    other_ports: tuple[str, ...] = ()

    @abstractmethod
    def locate(self, settings: Settings) -> Programs:
        """Where its programs are, or will be once they are installed."""

    @abstractmethod
    def install(self, settings: Settings, user: User, progress: Progress) -> None:
        """Sees to programs that `user` can run. Raises LabError saying what to do."""

    @abstractmethod
    def initialise(self, server: Server, data: Path) -> None:
        """Fills the new folder `data`, which takes its place when this returns. Raises LabError."""

    @abstractmethod
    def configure(self, server: Server) -> None:
        """Writes the configuration; done before every start."""

    @abstractmethod
    def command(self, server: Server) -> Command:
        """The server's process."""

    @abstractmethod
    def answers(self, server: Server) -> bool:
        """Whether its administrator is let in by TLS that the lab's authority vouches for."""

    def companions(self, _server: Server) -> Sequence[Command]:
        """Processes that must run before the server's own."""
        return ()


def tail(text: str, lines: int = 10) -> str:
    """The end of what a program said."""
    return "\n".join(text.strip().splitlines()[-lines:])
