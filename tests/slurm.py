"""A SLURM cluster of one node on loopback, out of the packages slurm-wlm and munge, for as long as a test needs it."""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
START = 30.0  # seconds until the node must be idle

# More CPUs and memory than there may be: small jobs overlap. The GPUs are two files that always exist.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=100000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
GRES_CONF = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


def missing() -> list[str]:
    """Programs of a SLURM cluster that are not on this machine."""
    return [program for program in PROGRAMS if shutil.which(program, path=search_path()) is None]


def search_path() -> str:
    """Daemons are where a user's PATH may not look."""
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def configure(folder: Path) -> None:
    """Write the key and the configuration of the daemons."""
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    (folder / "gres.conf").write_text(GRES_CONF)
    # Snakemake drops SLURM_CONF before it calls srun, which elsewhere is in /etc.
    (folder / "bin").mkdir()
    srun = shutil.which("srun", path=search_path())
    (folder / "bin/srun").write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n')
    (folder / "bin/srun").chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    ports = {"controller_port": free_port(), "node_port": free_port()}
    (folder / "slurm.conf").write_text(SLURM_CONF.format(folder=folder, host=host, user=getpass.getuser(), **ports))


def wait_until_idle(environment: dict[str, str]) -> None:
    """Wait for the node to take jobs."""
    deadline = time.monotonic() + START
    query = ["sinfo", "--noheader", "--format=%T"]
    while subprocess.run(query, env=environment, capture_output=True, text=True).stdout.strip() != "idle":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the node of the SLURM cluster is not idle after {START:.0f} s")
        time.sleep(0.2)


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start a cluster; give the environment in which sbatch and the like find it; stop it, whatever happened.

    Raises TimeoutError with the ends of the daemons' logs if it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        configure(folder)
        environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder}/bin{os.pathsep}{search_path()}",
        }
        munge = {kind: f"--{kind}-file={folder}/munge.{kind}" for kind in ("key", "log", "pid", "seed")}
        for command in (
            # --force: the folder is this user's alone, which munged would rather share.
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge.values()],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            output = running.enter_context((folder / f"{command[0]}.out").open("w"))
            # It ends even if this process is killed.
            command = ["setpriv", "--pdeathsig", "TERM", *command]
            daemon = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            running.callback(stop, daemon)
        try:
            wait_until_idle(environment)
        except TimeoutError as error:
            logs = [f"{log.name}: {log.read_text()[-1000:]}" for log in folder.glob("*.[lo][ou][gt]")]
            raise TimeoutError("\n".join([str(error), *logs])) from None
        try:
            yield environment
        finally:
            subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, check=False)
            wait_until_over(environment)


def wait_until_over(environment: dict[str, str]) -> None:
    """Wait, a little while, for cancelled jobs to be gone."""
    deadline = time.monotonic() + START
    while subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True).stdout.strip():
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)


def stop(daemon: subprocess.Popen) -> None:
    """End a daemon that was started here."""
    daemon.terminate()
    try:
        daemon.wait(timeout=10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
