"""A real SLURM cluster of one node, started and stopped by the tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where the daemons are
# No accounting, cgroups or database. A requeued job can start again after a few seconds.
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdParameters=config_overrides
MpiDefault=none
KillWait=2
MinJobAge=600
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=4 OverSubscribe=NO
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF OverSubscribe=NO
"""


class Cluster:
    """Runs munged, slurmctld and slurmd in a folder.

    Args:
        folder: For sockets, states and logs. The path must be short, because that of a socket has at most 108
            characters.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        for folder in (self.folder, self.folder / "munge"):
            folder.chmod(0o755)  # munged requires it
        try:
            self._start_munge()
            self._start_slurm()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o400)
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={munge / name}" for option, name in files.items()]
        self._daemon("munged", "--foreground", "--force", *options)
        wait(lambda: (munge / "socket").exists(), 20, "munged does not answer")

    def _start_slurm(self) -> None:
        host = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 8 // 10
        conf = CONF.format(folder=self.folder, host=host, ports=free_ports(2), memory=memory)
        (self.folder / "slurm.conf").write_text(conf)
        self._daemon("slurmctld", "-D", "-i")
        self._daemon("slurmd", "-D", "-N", host)
        wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%T", check=False), 60, "SLURM does not come up")

    def _daemon(self, name: str, *options: str) -> None:
        program = shutil.which(name, path=PATH)
        with (self.folder / f"{name}.out").open("wb") as output:
            self.daemons.append(
                subprocess.Popen(
                    # Ends the daemon when the tests end, even if they are killed.
                    ["setpriv", "--pdeathsig", "TERM", program, *options],
                    env=os.environ | self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )

    def run(self, *command: str, check: bool = True, environment: Mapping[str, str] = os.environ) -> str:
        """Run a command of SLURM; returns stdout."""
        done = subprocess.run(
            command, env={**environment, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """States of all jobs by their id. Jobs of an array have ids like 7_1."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons in reverse order."""
        if len(self.daemons) == 3:
            self.run("scancel", "--full", "-s", "KILL", "-u", "root", check=False)
            self.run("scancel", "-u", "root", check=False)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def free_ports(number: int) -> list[int]:
    """Ports that are not in use."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait(condition: Callable[[], object], seconds: float, message: str) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: With the message.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(message)
        time.sleep(0.1)
