"""Workers that share a long computation."""

import os
import subprocess
import sys
import time
from pathlib import Path

from paths import REPOSITORY

from molclr.parallel import available_cores

PROGRAM = """
import os, time
from molclr.parallel import ordered_map

if __name__ == "__main__":
    for _ in ordered_map(time.sleep, iter([0.1] * 10_000), 2):
        print(flush=True)
"""


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    (tmp_path / "work.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "work.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 30
    while any(is_alive(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(child) for child in children)


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_number_of_cores_is_known_on_systems_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_cores() == os.cpu_count()
