"""Checkpoints of an unfinished pre-training run, which survive a kill, a full disk and damaged files.

There are two files: state.pt and, one checkpoint older, state.previous.pt. Each starts with the SHA-256 of the PyTorch archive
that follows. The archive is loaded with `weights_only`, so that no code in it is run.
"""

import hashlib
import io
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from molclr.distributed import any_process, rank, same_everywhere, wait_for_all
from molclr.errors import MolclrError
from molclr.files import locked, replacing, write_rows
from molclr.progress import say
from molclr.training.checkpoint import copy_weights
from molclr.training.kept import difference, keep_unfinished, place_of_unfinished

DIGEST_BYTES = hashlib.sha256().digest_size
WRITTEN = ("state", "encoder", "last", "history", "run")
"""Stems of the files that pre-training writes."""


class TrainingState:
    """The state of a pre-training run: everything that is needed to continue it."""

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: dict[str, Any],
        begin_anew: bool,
    ) -> None:
        """Start at the first step, or continue from the checkpoint in `folder` if it has the same `identity`.

        If the identity differs or both files are damaged, raise MolclrError or, with `begin_anew`, move them to folder/kept.
        """
        self.path, self.previous = folder / "state.pt", folder / "state.previous.pt"
        self.model, self.optimizer, self.identity = model, optimizer, identity
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.path_is_good = False
        self.abandoned: Path | None = None
        self._load(begin_anew)
        if not (same_everywhere(self.epoch) and same_everywhere(self.step)):
            raise MolclrError(f"Not all processes see the files in '{folder}'; give a folder on a shared file system.")
        if self.abandoned and rank() == 0:  # All processes have read the files.
            keep_unfinished((self.path, self.previous), self.abandoned)
        self.saved_at = time.monotonic()

    def _load(self, begin_anew: bool) -> None:
        """Load the last intact checkpoint, if there is one."""
        state = read_state(self.path)
        self.path_is_good = state is not None
        if state is None and (self.path.exists() or self.previous.exists()):
            problem = f"The checkpoint '{self.path}' is {'damaged' if self.path.exists() else 'missing'}"
            state = read_state(self.previous)
            if state is None:
                self._abandon(f"{problem}, and there is no intact earlier one; restore a copy of it", None, begin_anew)
            else:
                say(f"{problem}; continuing from the previous one, '{self.previous.name}'.")
        if state is None:
            return
        if differing := difference(state["identity"], self.identity):
            problem = f"The unfinished run in '{self.path}' has {differing}; undo that change to continue it"
            self._abandon(problem, state["identity"], begin_anew)
            return
        self.epoch, self.step, self.loss_sum = state["epoch"], state["step"], state["loss_sum"]
        self.history, self.best = state["history"], state["best"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _abandon(self, problem: str, identity: dict[str, Any] | None, begin_anew: bool) -> None:
        """Choose the folder to which the checkpoints are moved. Raises MolclrError unless `begin_anew`."""
        checkpoints = (self.path, self.previous)
        place = place_of_unfinished(checkpoints, identity)
        if not begin_anew:
            raise MolclrError(
                f"{problem}, or start again with --begin-anew (in the workflow: --config 'run={{begin_anew: true}}'), which "
                f"moves it to '{place}'."
            )
        say(f"{problem.partition(';')[0]}; it is moved to '{place}', and a new run starts.")
        self.abandoned, self.path_is_good = place, False

    def is_due(self, seconds: float) -> bool:
        """Return whether the last checkpoint is at least `seconds` old."""
        return time.monotonic() - self.saved_at >= seconds

    def save(self) -> None:
        """Write a checkpoint and keep the previous one. Only the first process writes, because all have the same state."""
        self.saved_at = time.monotonic()
        if rank() > 0:
            return
        fields = ("identity", "epoch", "step", "loss_sum", "history", "best")
        state = {name: getattr(self, name) for name in fields}
        archive = io.BytesIO()
        torch.save(state | {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, archive)
        data = archive.getvalue()
        try:
            if self.path_is_good:
                with replacing(self.previous) as temporary:
                    shutil.copyfile(self.path, temporary)
            with replacing(self.path) as temporary:
                temporary.write_bytes(hashlib.sha256(data).digest() + data)
        except OSError as error:
            raise MolclrError(
                f"The checkpoint '{self.path}' cannot be written ({error.strerror}); free disk space and start again: "
                "the run continues from the previous checkpoint."
            ) from None
        self.path_is_good = True

    def remove(self) -> None:
        """Delete the checkpoints of a finished run, the older one first."""
        self.previous.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def end_epoch(self, validation_loss: float, accuracy: float, rate: float, dead: list[float]) -> None:
        """Record the epoch, copy the encoder if it is the best so far, and write history.csv and a checkpoint.

        dead: the fraction of dead channels of each layer.
        """
        if all(validation_loss < row["validation_loss"] for row in self.history):
            self.best = copy_weights(self.model.get_submodule("encoder"))
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "step": (self.epoch + 1) * self.step,
                "train_loss": self.loss_sum / self.step,
                "validation_loss": validation_loss,
                "contrastive_accuracy": accuracy,
                "learning_rate": rate,
                **{f"dead_channels_{layer}": fraction for layer, fraction in enumerate(dead, 1)},
            }
        )
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
        if rank() == 0:
            write_rows(self.path.with_name("history.csv"), self.history)
        self.save()


def read_state(path: Path) -> dict[str, Any] | None:
    """Read a state written by `TrainingState.save`; None if the file is missing or damaged."""
    data = path.read_bytes() if path.exists() else b""
    digest, archive = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if hashlib.sha256(archive).digest() != digest:
        return None
    return torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")


def remove_checkpoints_of(folder: Path, identity: dict[str, Any]) -> None:
    """Delete checkpoints that remain of a finished run because it was killed before it deleted them."""
    for path in (folder / "state.previous.pt", folder / "state.pt"):
        state = read_state(path)
        if rank() == 0 and state is not None and state["identity"] == identity:
            path.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock `folder` for one run; wait until another run in it ends, such as a leftover process of a killed run."""
    if rank() > 0:
        wait_for_all()
        yield
        return
    with locked(folder, lambda: say(f"Another process is training in '{folder}'; waiting for it to end.")):
        for leftover in (path for stem in WRITTEN for path in folder.glob(f".{stem}.*")):
            leftover.unlink()  # temporary file of a killed process
        wait_for_all()
        yield


class Interruption:
    """Context that defers SIGTERM, SIGHUP and Ctrl-C, so that a checkpoint can be written between two steps.

    A received signal raises KeyboardInterrupt at the end of the context, and a second Ctrl-C raises it at once. A second SIGTERM
    does not, because a process may receive one from the scheduler and another from its launcher.
    """

    def __init__(self) -> None:
        self.came = self.came_from_keyboard = False

    def __enter__(self) -> "Interruption":
        self.before = {}
        if threading.current_thread() is threading.main_thread():  # Other threads cannot handle signals.
            heard = [signal.SIGTERM, signal.SIGINT]
            heard += [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]  # ignored with nohup
            self.before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came_from_keyboard and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came, self.came_from_keyboard = True, self.came_from_keyboard or number == signal.SIGINT

    def came_anywhere(self) -> bool:
        """Return whether any process received a signal. All processes must call this after the same step."""
        self.came = any_process(self.came)
        return self.came

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.came and kind is None:
            raise KeyboardInterrupt
