"""A GPU computes what the CPU does, and computes the same bytes again. `make test-gpu` runs these tests."""

import copy
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from gpu.conftest import SETTINGS, SHAPE, STORE
from paths import REPOSITORY

from molclr.config import Augmentation, Finetune
from molclr.evaluation.runs import Run
from molclr.models.augment import augmentation_steps
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_views import limits_of, slot_views
from molclr.training.contrast import ContrastiveModel, PlainContrast, SlotContrast
from molclr.training.embed import embed
from molclr.training.graphs import PlainGraphs, SlotGraphs, graphs_on
from molclr.training.inference import predict_molecules
from molclr.training.optimizer import pretraining_optimizer
from molclr.training.step import CapturedStep, Step
from molclr.training.supervised import Supervision, finetuning_optimizer, mask_token, new_predictor

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
RESULTS = ("encoder.safetensors", "last.safetensors", "history.csv")
STREAMS = torch.tensor([11, 12])


def slots_of(store, device, home=None):
    return SlotGraphs(store, np.arange(len(store)), device, home=home)


@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_views_are_those_of_the_cpu_bit_for_bit(cuda, store, batches, composition):
    steps = augmentation_steps(Augmentation(composition=composition))
    views = []
    for device in (CPU, cuda):
        graphs = slots_of(store, device)
        capacity = graphs.capacity([batches])
        for handle in graphs.handles(batches, capacity):
            found = slot_views(graphs.slots(handle), steps, STREAMS.to(device), limits_of(graphs.counts, steps))
            views.append([tensor.cpu() for tensor in found])
    for ours, theirs in zip(views[:2], views[2:], strict=True):
        assert all(torch.equal(first, second) for first, second in zip(ours, theirs, strict=True))


def learned(contrast, model, batches, device):
    """The loss of the first batch, and the norm of each parameter's gradient."""
    batch = next(iter(contrast.batches(batches)))
    loss, _ = contrast.loss(batch, STREAMS.to(device))
    loss.backward()
    return float(loss.detach()), {name: float(p.grad.norm()) for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "precision", "of_loss", "of_gradients"),
    [
        ("gin", "float32", 1e-5, 1e-4),
        ("gcn", "float32", 1e-5, 1e-4),
        ("gin", "bfloat16", 2e-2, 2e-2),
        ("gcn", "bfloat16", 2e-2, 2e-2),
    ],
)
def test_loss_and_gradients_of_the_compiled_network_are_those_of_the_cpu(
    cuda, store, batches, name, precision, of_loss, of_gradients
):
    """The CPU's in double precision: single precision differs from it as much on one device as on the other."""
    torch.manual_seed(0)
    model = ContrastiveModel(name, SHAPE, SETTINGS)
    on_gpu = copy.deepcopy(model).to(cuda)
    model = model.double()
    loss, norms = learned(PlainContrast(model, store, SETTINGS, CPU), model, batches, CPU)
    settings = SETTINGS.model_copy(update={"precision": precision})
    contrast = SlotContrast(on_gpu, slots_of(store, cuda), settings, [batches])
    found, found_norms = learned(contrast, on_gpu, batches, cuda)
    assert found == pytest.approx(loss, rel=of_loss)
    total = np.linalg.norm(list(norms.values()))
    assert np.linalg.norm(list(found_norms.values())) == pytest.approx(total, rel=of_gradients)
    if precision == "float32":
        # Batch norm takes away what some biases add: their gradients are rounding errors.
        assert found_norms == pytest.approx(norms, rel=10 * of_gradients, abs=1e-4 * total)


def test_a_streamed_corpus_teaches_the_same(cuda, store, batches):
    found = []
    for home in (cuda, CPU):
        torch.manual_seed(0)
        model = ContrastiveModel("gin", SHAPE, SETTINGS).to(cuda)
        contrast = SlotContrast(model, slots_of(store, cuda, home), SETTINGS, [batches], compiled=False)
        found.append(learned(contrast, model, batches, cuda))
    assert found[0] == found[1]


def pretrain(folder, *options):
    """A process that pre-trains the full network for 201 steps in `folder`."""
    code = (
        "import sys; from pathlib import Path; from gpu.conftest import SETTINGS, SHAPE, STORE\n"
        "from molclr.training.pretrain import pretrain\n"
        "settings = SETTINGS.model_copy(update={'precision': 'bfloat16', 'device': 'cuda', 'dropout': 0.1})\n"
        f"pretrain(STORE, Path(sys.argv[1]), 'gin', SHAPE, settings, {', '.join(options)})\n"
    )
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, folder], env=environment)


@pytest.mark.parametrize("name", ["gin", "gcn"])
@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_a_captured_step_is_the_step(cuda, store, batches, name, composition):
    """With every composition and with atoms that have more neighbours than slots. Warming up leaves no trace."""
    settings = SETTINGS.model_copy(update={"augmentation": Augmentation(composition=composition), "dropout": 0.1})
    found = []
    for captured in (False, True):
        torch.manual_seed(0)
        model = ContrastiveModel(name, SHAPE, settings).to(cuda)
        contrast = SlotContrast(model, slots_of(store, cuda), settings, [batches], compiled=False)
        optimizer = pretraining_optimizer(model, settings)
        step = Step(model, optimizer, lambda batch, streams, contrast=contrast: contrast.loss(batch, streams)[0])
        learn = CapturedStep(step, model) if captured else step
        for number, batch in enumerate(contrast.batches(batches)):
            torch.manual_seed(number)
            learn(batch, STREAMS.to(cuda))
        assert int(step.good) == 2
        found.append((float(step.loss_sum), {key: value.cpu() for key, value in model.state_dict().items()}))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for key, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][key], value, rtol=1e-4, atol=1e-6, msg=key)


@pytest.fixture(scope="module")
def undisturbed(cuda, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert pretrain(folder).wait() == 0
    return {name: (folder / name).read_bytes() for name in RESULTS}


@pytest.mark.xdist_group("pretrain")
def test_two_runs_give_the_same_bytes(undisturbed, tmp_path):
    assert pretrain(tmp_path).wait() == 0
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == undisturbed


@pytest.mark.xdist_group("pretrain")
def test_a_killed_run_continues_to_the_same_bytes(undisturbed, tmp_path):
    process = pretrain(tmp_path, "checkpoint_seconds=0.0")
    while not (tmp_path / "state.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert (tmp_path / "state.pt").exists()
    assert pretrain(tmp_path).wait() == 0
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == undisturbed


def test_torchrun_trains_over_nccl(cuda, tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 1, "device": "cuda"})
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", "molclr", "pretrain"]
    options = ["--encoder", "gcn", "--settings", settings.model_dump_json(), "--output", tmp_path]
    local = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}  # A machine may have no network.
    subprocess.run([sys.executable, *command, STORE, *options], cwd=REPOSITORY, env=local, check=True)
    assert all((tmp_path / name).exists() for name in RESULTS)


@pytest.mark.parametrize("name", ["gin", "gcn"])
def test_embeddings_are_those_of_the_cpu(cuda, store, name):
    torch.manual_seed(0)
    encoder, molecules = make_encoder(name, SHAPE), np.arange(len(store))[::-1].copy()
    on_cpu = embed(store, encoder, molecules, CPU)
    np.testing.assert_allclose(embed(store, encoder, molecules, cuda), on_cpu, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gin", "gcn"])
def test_fine_tuning_and_predictions_are_those_of_the_cpu(cuda, store, name):
    """A captured step of a batch whose last place is empty, and missing labels."""
    settings, random = Finetune(epochs=2, dropout=0.0), np.random.default_rng(0)
    labels = np.where(random.random((len(store), 2)) > 0.1, random.normal(size=(len(store), 2)), np.nan)
    run, molecules = Run("x", "GIN", 0, "regression", "rmse", ["a", "b"]), random.permutation(len(store))[:200]
    torch.manual_seed(0)
    model, found = new_predictor(make_encoder(name, SHAPE), settings, run, labels), []
    for device in (CPU, cuda):
        ours = copy.deepcopy(model).to(device)
        graphs = graphs_on(device, store, np.arange(len(store)), ours.encoder)
        assert isinstance(graphs, PlainGraphs if device == CPU else SlotGraphs)
        supervision = Supervision(
            ours, run, graphs, labels, molecules, settings, finetuning_optimizer(ours, settings, pretrained=True)
        )
        losses = [supervision.epoch(epoch) for epoch in (1, 2)]
        assert torch.equal(mask_token(ours.encoder).cpu(), mask_token(model.encoder))
        found.append((losses, predict_molecules(ours, graphs, np.arange(100))))
    assert found[1][0] == pytest.approx(found[0][0], rel=5e-3), "rounding, which Adam amplifies"
    np.testing.assert_allclose(found[1][1], found[0][1], atol=5e-2)


def test_a_step_that_is_not_finite_is_named(cuda, tmp_path):
    from molclr.errors import MolclrError
    from molclr.training.pretrain import pretrain as run

    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0, "device": "cuda"})
    with pytest.raises(MolclrError, match=r"not finite in epoch 1, step \d+; .* rows of the graph store: "):
        run(STORE, tmp_path, "gcn", SHAPE, wild)
