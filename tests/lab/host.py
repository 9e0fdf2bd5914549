"""One machine of the lab as its programs see it: a network namespace, a disk, processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM
from socket import socket as Socket

from lab import netns, processes, sockets
from lab.processes import Process
from lab.run import Run

Argument = str | os.PathLike[str]


class Host:
    """A namespace on the lab's network: run, spawn, or open a socket in it."""

    def __init__(self, run: Run, name: str, address: str = "", address6: str = "") -> None:
        self._run = run
        self.name = name
        self.address = address
        self.address6 = address6
        self.namespace = f"{run.prefix}{name}"
        self.dir = run.path / "hosts" / name  # its disk: survives a power cut
        self.started: list[Process] = []  # whether they still run or not
        self._control: Socket | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"

    @property
    def link(self) -> str:
        """Its link's other end, a port of the LAN's bridge."""
        return f"v-{self.name}"

    def command(self, argv: Sequence[Argument]) -> list[str]:
        """The command line that runs `argv` here (`ip` gives it a /sys of its own network)."""
        return ["ip", "netns", "exec", self.namespace, *(os.fspath(part) for part in argv)]

    def run(
        self,
        argv: Sequence[Argument],
        check: bool = True,
        input: str | None = None,
        timeout: float | None = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end; its output as text."""
        return run(self.command(argv), check=check, input=input, timeout=timeout, env=env)

    def spawn(
        self,
        argv: Sequence[Argument],
        env: Mapping[str, str] | None = None,
        log: str | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a program here and leave it running; its output goes to a log of that name."""
        self.dir.mkdir(parents=True, exist_ok=True)
        name = log or Path(argv[0]).name
        process = processes.start(
            self.command(argv),
            f"{self.name}/{name}",
            self._run.path / "logs" / f"{self.name}-{name}.log",
            self._run.records,
            env,
            cwd,
        )
        self.started.append(process)
        return process

    def process(self, name: str) -> Process:
        """The last process that was started here under that name."""
        return [process for process in self.started if process.name == f"{self.name}/{name}"][-1]

    def adopt(self) -> None:
        """Know again what another process started here."""
        for record in processes.read_records(self._run.records):
            host, _, name = record.name.partition("/")
            if host == self.name:
                log = self._run.path / "logs" / f"{host}-{name}.log"
                self.started.append(Process(record, log))

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        """A socket of this host in the hands of this process."""
        return sockets.open_in(self.namespace, family, kind, protocol)

    @property
    def mac(self) -> str:
        """The hardware address of its `eth0`."""
        return sockets.mac_of(self.control(), "eth0")

    def control(self) -> Socket:
        """A socket kept open here, for ioctls."""
        if self._control is None:
            self._control = self.socket(AF_INET, SOCK_DGRAM)
        return self._control

    def close(self) -> None:
        """Forget what is kept open, and children that have ended."""
        for process in self.started:
            process.reap()
        if self._control is not None:
            self._control.close()
            self._control = None

    def pids(self) -> list[int]:
        """All processes of this host."""
        return netns.processes_in([self.namespace])

    def kill_processes(self, pids: Sequence[int] | None = None) -> None:
        """End all processes of this host (as found before, or now) at one instant."""
        processes.kill_all([], self.pids() if pids is None else pids)


def run(
    command: Sequence[Argument],
    check: bool = True,
    input: str | None = None,
    timeout: float | None = 60,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of the lab to its end, with the reason in the error if it fails."""
    argv = [os.fspath(part) for part in command]
    done = subprocess.run(
        argv,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=processes.environment(env),
        check=False,
    )
    if check and done.returncode:
        raise Failed(done.returncode, argv, done.stdout, done.stderr)
    return done


class Failed(subprocess.CalledProcessError):
    """A program ended with an error; says what it wrote."""

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.stderr}{self.stdout}"
