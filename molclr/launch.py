"""Starting several processes of one command on this machine, as torchrun does, which serves as well and on several machines."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

SECONDS_TO_END = 30.0
"""How long processes may take to end after they were told to."""


def is_launched() -> bool:
    """Was this process started as one of several?"""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def launch(number: int, command: Sequence[str]) -> int:
    """Run `molclr COMMAND ...` in `number` processes; return 0, or the exit code of the first that fails.

    If one fails, the others are told to end (SIGTERM); so are all if this process is told to.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": str(number)}
    processes: list[subprocess.Popen] = []
    told_at: list[float] = []

    def tell_to_end(*_: object) -> None:
        told_at.append(time.monotonic())
        for process in processes:
            process.terminate()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, tell_to_end)
    for rank in range(number):
        environment = os.environ | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(subprocess.Popen([sys.executable, "-m", "molclr.cli", *command], env=environment))

    code = 0
    while any(process.poll() is None for process in processes):
        code = code or next((process.returncode for process in processes if process.returncode), 0)
        if code and not told_at:
            tell_to_end()
        if told_at and time.monotonic() - told_at[0] > SECONDS_TO_END:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    code = code or next((process.returncode for process in processes if process.returncode), 0)
    return code if code >= 0 else 128 - code
