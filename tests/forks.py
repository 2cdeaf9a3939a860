"""Pre-training in forks of one process, which imports PyTorch once: to be killed, or to train together.

Run as a script it does what its first argument says, and prints a JSON object.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

from molclr.config import EncoderShape, Pretrain

SHAPE = EncoderShape(layers=2, hidden_dim=16, embedding_dim=24)
SETTINGS = Pretrain(epochs=3, batch_size=32, warmup_epochs=1, projection=16, learning_rate=2e-3)
SHORT = SETTINGS.model_copy(update={"epochs": 1})
FORMS = (("gin", "float32"), ("gcn", "float32"), ("gin", "bfloat16"), ("gin", "slots"), ("gcn", "slots"))
RESULTS = ("encoder.safetensors", "last.safetensors", "history.csv", "run.json")


def results_of(folder):
    """The bytes of everything that a finished run leaves."""
    assert {path.name for path in folder.iterdir()} - {"kept"} == set(RESULTS)
    return [(folder / name).read_bytes() for name in RESULTS]


def in_forks(*arguments):
    """Run this file, with the code beside it; return what it prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def fork(work):
    """Do `work` in a child; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def exit_code(child):
    """Wait for a child: its exit code, or the negative signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def training(graphs, folder, settings=SETTINGS, killed_at_call=None):
    """Pre-train with a checkpoint after each step; if told so, die in the midst of a certain call that writes."""
    from molclr.training.pretrain import pretrain

    def work():
        if killed_at_call is not None:
            die_at_call(killed_at_call)
        pretrain(graphs, folder, "gin", SHAPE, settings, checkpoint_seconds=0.0)

    return work


def die_at_call(number):
    """SIGKILL this process in call `number`, from 0, of those that bring bytes to the disk."""
    calls = iter(range(number + 1))

    def lethal(module, name, half):
        call = getattr(module, name)

        def wrapper(*arguments, **options):
            if next(calls) == number:
                half(call, *arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        setattr(module, name, wrapper)

    lethal(os, "fsync", lambda call, handle: None)
    lethal(os, "replace", lambda call, *paths: None)
    lethal(Path, "unlink", lambda call, path: None)
    lethal(Path, "write_bytes", lambda call, path, data: call(path, data[: len(data) // 2]))


def kill_at_random_moments(graphs, folder, seed, kills):
    """Kill a run after random times, and let the last one finish."""
    draw = random.Random(int(seed))
    start = time.monotonic()
    assert exit_code(fork(training(graphs, folder / "undisturbed"))) == 0
    seconds = time.monotonic() - start
    killed = 0
    while killed < int(kills):
        child = fork(training(graphs, folder / "killed"))
        time.sleep(draw.uniform(0, seconds / 3))
        os.kill(child, signal.SIGKILL)
        code = exit_code(child)
        if code == 0:  # It was done before its time had come: another one.
            assert results_of(folder / "killed") == results_of(folder / "undisturbed")
            shutil.rmtree(folder / "killed")
        else:
            assert code == -signal.SIGKILL
            killed += 1
    assert exit_code(fork(training(graphs, folder / "killed"))) == 0
    return {"kills": killed}


def kill_in_writes(graphs, folder, seed):
    """Kill a run in the midst of writing, again and again, until one is done before its time has come."""
    draw = random.Random(int(seed))
    codes = []
    while not codes or codes[-1] == -signal.SIGKILL:
        codes.append(exit_code(fork(training(graphs, folder / "killed", killed_at_call=draw.randrange(40)))))
    assert codes[-1] == 0, codes
    return {"kills": len(codes) - 1}


def fork_together(work, number):
    """Do `work` in `number` children that torchrun could have started; return their process ids."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def started(rank):
        names = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": number,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        os.environ.update({name: str(value) for name, value in names.items()})
        work()

    return [fork(partial(started, rank)) for rank in range(number)]


def differentiate(store_path, folder):
    """Loss, gradients and statistics of one batch, by one process and by three; a file for each process."""
    import numpy as np
    import torch

    from molclr import distributed
    from molclr.data.store import GraphStore
    from molclr.models.fast.encoder import NARROW
    from molclr.training.contrast import ContrastiveModel, PlainContrast, SlotContrast
    from molclr.training.graphs import SlotGraphs

    wide = SHAPE.model_copy(update={"hidden_dim": NARROW})  # its rows stand for several atoms

    def work():
        torch.set_num_threads(1)
        with distributed.process_group(torch.device("cpu")):
            for encoder, form in (
                ("gin", "float32"),
                ("gcn", "float32"),
                ("gin", "bfloat16"),
                ("gin", "slots"),
                ("gcn", "slots"),
            ):
                settings = SETTINGS.model_copy(update={"precision": form.replace("slots", "float32")})
                torch.manual_seed(0)
                model = ContrastiveModel(encoder, SHAPE if encoder == "gin" else wide, settings)
                views = []
                model.register_forward_pre_hook(lambda module, inputs, views=views: views.append(inputs[0]))
                store, rows, cpu = GraphStore(store_path), np.arange(40), torch.device("cpu")  # 13, 13 and 14 molecules
                if form == "slots":
                    graphs = SlotGraphs(store, np.arange(len(store)), cpu)
                    contrast = SlotContrast(model, graphs, settings, [rows[None]], compiled=False)
                else:
                    contrast = PlainContrast(model, store, settings, cpu)
                (batch,) = contrast.batches(rows[None])
                loss, accuracy = contrast.loss(batch, torch.tensor([0, 1]))
                loss.backward()
                distributed.sum_gradients(model.parameters())
                found = {"loss": loss.detach(), "accuracy": accuracy, **dict(model.named_buffers())}
                found |= {name: parameter.grad for name, parameter in model.named_parameters()}
                kept = {
                    f"{part} of view {number}": tensor
                    for number, view in enumerate(views)
                    for part, tensor in (("x", view.x), ("edge_attr", view.edge_attr[: view.num_bonds]))
                }
                name = f"{encoder}-{form}-{distributed.rank()}-of-{distributed.processes()}"
                torch.save(found, folder / f"{name}.pt")
                torch.save(kept, folder / f"views-{name}.pt")

    codes = [exit_code(child) for number in (1, 2, 3) for child in fork_together(work, number)]
    assert codes == [0] * 6
    return {}


def kill_one_of_two(graphs, folder, seed, kills):
    """Kill one of two processes that train together, after random times; let the last two finish."""
    draw = random.Random(int(seed))
    start = time.monotonic()
    assert [exit_code(child) for child in fork_together(training(graphs, folder / "undisturbed", SHORT), 2)] == [0, 0]
    seconds = time.monotonic() - start
    codes = []
    for _ in range(int(kills)):
        children = fork_together(training(graphs, folder / "killed", SHORT), 2)
        time.sleep(draw.uniform(0, seconds / 4))
        victim = draw.randrange(2)
        os.kill(children[victim], signal.SIGKILL)
        time.sleep(0.1)
        os.kill(children[1 - victim], signal.SIGTERM)  # as torchrun does
        codes.append([exit_code(child) for child in children])
    assert [exit_code(child) for child in fork_together(training(graphs, folder / "killed", SHORT), 2)] == [0, 0]
    return {"kills": sum(-signal.SIGKILL in pair for pair in codes)}


if __name__ == "__main__":
    # Once, for all children; the optimizer would import the former when it is first used.
    import torch._dynamo  # noqa: F401

    import molclr.training.pretrain  # noqa: F401

    name, graphs, folder, *rest = sys.argv[1:]
    print(json.dumps(globals()[name](Path(graphs), Path(folder), *rest)))
