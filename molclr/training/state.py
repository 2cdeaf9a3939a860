"""The state of an unfinished pre-training run: checkpoints that survive a kill, a full disk and their own damage.

Two files: state.pt, and state.previous.pt, the one before it. Each is the SHA-256 of the rest and a PyTorch archive, which is
loaded with `weights_only`, so that no code in it is run.
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

from molclr.distributed import any_process, rank, same_everywhere, tell, wait_for_all
from molclr.errors import MolclrError
from molclr.files import locked, replacing, write_rows
from molclr.training.checkpoint import copy_weights
from molclr.training.kept import difference, keep_unfinished, place_of_unfinished

DIGEST_BYTES = hashlib.sha256().digest_size
WRITTEN = ("state", "encoder", "last", "history", "run")
"""Stems of the files in a folder of pre-training."""


class TrainingState:
    """How far a pre-training run is: everything that a continued run needs and an undisturbed one has in memory."""

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: dict[str, Any],
        begin_anew: bool,
    ) -> None:
        """Begin at the first step, or where the state in `folder` says if it is of the same `identity`.

        If it is not, or both files are damaged, raises MolclrError; or keeps them in folder/kept if told to `begin_anew`.
        """
        self.path, self.previous = folder / "state.pt", folder / "state.previous.pt"
        self.model, self.optimizer, self.identity = model, optimizer, identity
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.path_is_good = False
        self.given_up: Path | None = None
        self._load(begin_anew)
        if not (same_everywhere(self.epoch) and same_everywhere(self.step)):
            raise MolclrError(f"Not every process sees the files in '{folder}'; give a folder that all of them share.")
        if self.given_up and rank() == 0:  # all have read it
            keep_unfinished((self.path, self.previous), self.given_up)
        self.saved_at = time.monotonic()

    def _load(self, begin_anew: bool) -> None:
        """Continue from the last checkpoint that is whole, if there is one."""
        state = _read(self.path)
        self.path_is_good = state is not None
        if state is None and (self.path.exists() or self.previous.exists()):
            problem = f"The checkpoint '{self.path}' is {'damaged' if self.path.exists() else 'missing'}"
            state = _read(self.previous)
            if state is None:
                self._give_up(f"{problem}, and there is no whole one before it; restore a copy of it", None, begin_anew)
            else:
                tell(f"{problem}; continuing from the one before, '{self.previous.name}'.")
        if state is None:
            return
        if differing := difference(state["identity"], self.identity):
            problem = f"The unfinished run in '{self.path}' has {differing}; undo that change to continue it"
            self._give_up(problem, state["identity"], begin_anew)
            return
        self.epoch, self.step, self.loss_sum = state["epoch"], state["step"], state["loss_sum"]
        self.history, self.best = state["history"], state["best"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _give_up(self, problem: str, decided_by: dict[str, Any] | None, begin_anew: bool) -> None:
        """Decide where the checkpoints will be kept; or raise MolclrError if nobody said so."""
        checkpoints = (self.path, self.previous)
        place = place_of_unfinished(checkpoints, decided_by)
        if not begin_anew:
            raise MolclrError(
                f"{problem}, or begin anew with --begin-anew (in the workflow: --config 'run={{begin_anew: true}}'), which keeps "
                f"it in '{place}'."
            )
        tell(f"{problem.partition(';')[0]}; it is kept in '{place}', and a new one begins.")
        self.given_up, self.path_is_good = place, False

    def is_due(self, seconds: float) -> bool:
        """Whether the last checkpoint is `seconds` old."""
        return time.monotonic() - self.saved_at >= seconds

    def save(self) -> None:
        """Write a checkpoint, and keep the one before. Only the first process does: all have the same state."""
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
                f"The checkpoint '{self.path}' cannot be written ({error.strerror}); make room and start again: "
                "the run continues from the checkpoint before."
            ) from None
        self.path_is_good = True

    def remove(self) -> None:
        """Delete the checkpoints of a run that is complete, the older one first."""
        self.previous.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def end_epoch(self, validation_loss: float, accuracy: float, rate: float, dead: list[float]) -> None:
        """Record the epoch, keep the encoder if it is the best so far, and write history.csv and a checkpoint.

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


def _read(path: Path) -> dict[str, Any] | None:
    """A state that `TrainingState.save` wrote; None if the file is missing or not as it was written."""
    data = path.read_bytes() if path.exists() else b""
    digest, archive = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if hashlib.sha256(archive).digest() != digest:
        return None
    return torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")


def remove_checkpoints_of(folder: Path, identity: dict[str, Any]) -> None:
    """Delete the checkpoints of a run that is complete, after it was killed when it would have done so itself."""
    for path in (folder / "state.previous.pt", folder / "state.pt"):
        state = _read(path)
        if rank() == 0 and state is not None and state["identity"] == identity:
            path.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make sure that one run at a time trains in `folder`; wait for another, left over from a killed one, to end."""
    if rank() > 0:
        wait_for_all()
        yield
        return
    with locked(folder, lambda: tell(f"Another process trains in '{folder}'; waiting for it to end.")):
        for leftover in (path for stem in WRITTEN for path in folder.glob(f".{stem}.*")):
            leftover.unlink()  # of a process that was killed while it wrote
        wait_for_all()
        yield


class Interruption:
    """Holds back SIGTERM and Ctrl-C while steps are under way, so that a checkpoint can be written between two.

    On leaving the context, a signal that came raises KeyboardInterrupt; a second Ctrl-C does so at once. A second SIGTERM does
    not: schedulers send one to every process, and a launcher hands on its own.
    """

    def __init__(self) -> None:
        self.came = self.came_by_hand = False

    def __enter__(self) -> "Interruption":
        self.before = {}
        if threading.current_thread() is threading.main_thread():  # Only there can signals be handled.
            self.before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came_by_hand and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came, self.came_by_hand = True, self.came_by_hand or number == signal.SIGINT

    def came_anywhere(self) -> bool:
        """Has a process been told to stop? All have to ask, after the same step, and get the same answer."""
        self.came = any_process(self.came)
        return self.came

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.came and kind is None:
            raise KeyboardInterrupt
