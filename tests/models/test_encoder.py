from copy import deepcopy

import numpy as np
import pytest
import torch
from official import official_names
from paths import GOLDEN
from torch import nn
from torch_geometric.nn import MessagePassing, global_mean_pool

from molclr.config import Augmentation, EncoderShape
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore, write_store
from molclr.models import encoders
from molclr.models.augment import augment, view_keys
from molclr.models.encoder import GCN, GIN, SELF_LOOP
from molclr.models.encoders import ENCODERS, make_encoder
from molclr.models.fast import classes
from molclr.models.fast import encoder as fast
from molclr.models.fast.encoder import FastGCN, FastGIN, dropout
from molclr.models.heads import PredictionHead, ProjectionHead
from molclr.models.nt_xent import nt_xent

SMALL = EncoderShape(layers=3, hidden_dim=32, embedding_dim=48)


@pytest.fixture
def official(form):
    """The official GIN of three layers on 64 molecules: encoder, projection head and what they gave."""
    golden = np.load(GOLDEN / "gin_small.npz")
    weights = {name.removeprefix("param/"): torch.from_numpy(golden[name]) for name in golden.files if "/" in name}
    encoder, projection = make_encoder("gin", SMALL), ProjectionHead(48, 24)
    encoder.load_state_dict(
        {
            "atom_embedding.weight": weights["x_embedding1.weight"],
            "chirality_embedding.weight": weights["x_embedding2.weight"],
            "readout.weight": weights["feat_lin.weight"],
            "readout.bias": weights["feat_lin.bias"],
        }
        | {
            f"layers.{i}.bond_embedding": torch.cat([weights[f"gnns.{i}.edge_embedding{k}.weight"] for k in (1, 2)])
            for i in range(3)
        }
        | {name.replace("gnns", "layers"): value for name, value in weights.items() if ".mlp." in name}
        | {name.replace("batch_norms", "norms"): value for name, value in weights.items() if "batch_norms" in name}
    )
    projection.load_state_dict({name.removeprefix("out_lin."): v for name, v in weights.items() if "out_lin" in name})
    return encoder, projection, golden


DEFINITIONS = {"gin": GIN, "gcn": GCN}
FORMS = ["definition", "atom by atom", "equal atoms once"]


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """All ways to compute the same."""
    use_form(monkeypatch, request.param)


def use_form(monkeypatch, form):
    if form == "definition":
        monkeypatch.setattr(encoders, "ENCODERS", DEFINITIONS)
    monkeypatch.setattr(fast, "NARROW", 0 if form == "equal atoms once" else 1000)
    monkeypatch.setattr(classes, "WORTHWHILE", 1.0)


def batch_of(smiles, folder, explicit_hydrogens=False):
    write_store(folder / "graphs.safetensors", [featurize_part(smiles, explicit_hydrogens)])
    return GraphStore(folder / "graphs.safetensors").batch(np.arange(len(smiles)))


def test_gin_equals_the_official_one(official, tmp_path):
    encoder, projection, golden = official
    encoder.eval()
    with torch.no_grad():
        h = encoder(*batch_of(golden["smiles"].tolist(), tmp_path))
        z = projection(h)
    np.testing.assert_allclose(h.numpy(), golden["h"], atol=1e-5)
    np.testing.assert_allclose(z.numpy(), golden["z"], atol=1e-5)


def test_a_training_step_of_gin_equals_the_official_one(official, tmp_path):
    encoder, projection, golden = official
    # In float32, rounding decides whether a channel of this batch is above zero, and the gradients jump there.
    encoder, projection = deepcopy(encoder).double(), deepcopy(projection).double()
    step = np.load(GOLDEN / "gin_small_step.npz")
    norms = dict(zip(step["names"].tolist(), step["grad_l2"].tolist(), strict=True))
    encoder.train()
    smiles = golden["smiles"].tolist()
    views = [batch_of(smiles, tmp_path), batch_of(smiles, tmp_path, explicit_hydrogens=True)]
    loss, _ = nt_xent(*(projection(encoder(*view)) for view in views), 0.1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(step["loss"]), abs=1e-5)
    ours = official_names({name: weight.grad for name, weight in encoder.named_parameters()})
    ours |= {f"out_lin.{name}": weight.grad for name, weight in projection.named_parameters()}
    assert ours.keys() == norms.keys()
    for name, gradient in ours.items():
        if name.endswith("mlp.2.bias"):  # Batch norm takes it out: zero, in single precision up to 5e-5.
            assert float(gradient.norm()) < 1e-9 and norms[name] < 1e-4, name
        else:
            assert float(gradient.norm()) == pytest.approx(norms[name], rel=1e-4), name


class Reference(MessagePassing):
    """One layer of message passing as torch-geometric would have it written, edge by edge."""

    def __init__(self, layer, normalize):
        super().__init__(aggr="add")
        self.layer, self.normalize = layer, normalize
        self.table = layer.bond_embedding

    def forward(self, h, edge_index, edge_attr):
        loops = torch.arange(len(h)).repeat(2, 1)
        edge_index = torch.cat([edge_index, loops], dim=1)
        edge_attr = torch.cat([edge_attr, torch.tensor([[SELF_LOOP, 0]]).expand(len(h), 2)])
        weight = torch.ones(edge_index.shape[1])
        transform, finish = nn.Identity(), self.layer.mlp if hasattr(self.layer, "mlp") else None
        if finish is None:
            degree = torch.bincount(edge_index[1], minlength=len(h)).float()
            if self.normalize:
                weight = (degree[edge_index[0]] * degree[edge_index[1]]).rsqrt()
            linear = self.layer.linear
            transform, finish = (lambda x: x @ linear.weight.T), (lambda x: x + linear.bias)
        return finish(self.propagate(edge_index, x=transform(h), edge_attr=edge_attr, weight=weight))

    def message(self, x_j, edge_attr, weight):
        return weight[:, None] * (x_j + self.table[edge_attr[:, 0]] + self.table[5 + edge_attr[:, 1]])


@pytest.mark.parametrize(("name", "normalize"), [("gin", True), ("gcn", True), ("gcn", False)])
def test_forward_and_gradients_equal_message_passing_edge_by_edge(name, normalize, form, graphs):
    torch.manual_seed(0)
    encoder = make_encoder(name, SMALL.model_copy(update={"gcn_normalization": normalize}))
    with torch.no_grad():
        for layer in encoder.layers:
            layer.bond_embedding.normal_()

    h = encoder(*graphs)
    h.square().sum().backward()
    ours = {key: value.grad.clone() for key, value in encoder.named_parameters()}
    encoder.zero_grad()

    x = encoder.atom_embedding(graphs.x[:, 0]) + encoder.chirality_embedding(graphs.x[:, 1])
    for i, (layer, norm) in enumerate(zip(encoder.layers, encoder.norms, strict=True)):
        x = norm(Reference(layer, normalize)(x, graphs.edge_index, graphs.edge_attr))
        x = torch.relu(x) if i < 2 else x
    reference = encoder.readout(global_mean_pool(x, graphs.batch))
    reference.square().sum().backward()

    torch.testing.assert_close(h, reference, atol=1e-4, rtol=1e-4)
    for key, value in encoder.named_parameters():
        torch.testing.assert_close(ours[key], value.grad, atol=2e-3, rtol=2e-3, msg=key)


@pytest.mark.parametrize("view", ["none", "node", "subgraph", "mix"])
@pytest.mark.parametrize(("training", "ratio"), [(True, 0.0), (True, 0.3), (False, 0.3)])
@pytest.mark.parametrize(("name", "normalize"), [("gin", True), ("gcn", True), ("gcn", False)])
def test_the_fast_forms_give_what_the_definition_gives(name, normalize, training, ratio, view, graphs, monkeypatch):
    if view != "none":
        graphs = augment(graphs, Augmentation(composition=view), view_keys(0, torch.arange(graphs.num_graphs)))
    results = []
    for form in FORMS if ratio == 0 or not training else FORMS[1:]:
        use_form(monkeypatch, form)
        torch.manual_seed(0)
        shape = EncoderShape(layers=5, hidden_dim=12, embedding_dim=7, gcn_normalization=normalize)
        encoder = make_encoder(name, shape, ratio).double().train(training)
        for norm in encoder.norms:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
        h = encoder(*graphs)
        (h * torch.randn_like(h)).sum().backward()
        gradients = {f"{key}.grad": value.grad for key, value in encoder.named_parameters()}
        results.append({"h": h.detach()} | gradients | dict(encoder.named_buffers()))
    for key, value in results[0].items():
        for other in results[1:]:
            torch.testing.assert_close(other[key], value, atol=1e-9, rtol=1e-9, msg=key)


def test_equal_atoms_are_computed_once_in_wide_encoders(graphs):
    rows = []
    encoder = make_encoder("gin", EncoderShape(layers=4, hidden_dim=256, embedding_dim=8), dropout=0.5)
    for layer in encoder.layers:
        layer.mlp[2].register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    with torch.no_grad():
        encoder.eval()(*graphs)
        encoder.train()(*graphs)
    assert rows[0] < rows[1] < len(graphs.x)
    assert rows[4] == rows[0]
    assert rows[5:] == [len(graphs.x)] * 3, "dropout makes equal atoms differ"


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_gradients_are_the_same_to_the_last_bit_on_several_threads(ratio):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        graphs = GraphStore.of(featurize_part(["CCCCCCCCCCCCO", "c1ccccc1CCN"] * 40)).batch(np.arange(80))
        encoder = make_encoder("gin", EncoderShape(layers=2, hidden_dim=128, embedding_dim=8), ratio)
        found = []
        for _ in range(5):
            torch.manual_seed(0)
            encoder.zero_grad()
            encoder(*graphs).square().sum().backward()
            found.append(torch.cat([value.grad.flatten() for value in encoder.parameters()]))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(gradients, found[0]) for gradients in found)


@pytest.mark.parametrize("name", ["gin", "gcn"])
def test_the_embedding_does_not_depend_on_the_batch(name, smiles, tmp_path):
    torch.manual_seed(0)
    encoder = make_encoder(name, SMALL).eval()
    with torch.no_grad():
        together = encoder(*batch_of(smiles, tmp_path))
        for i, text in enumerate(smiles):
            torch.testing.assert_close(encoder(*batch_of([text], tmp_path))[0], together[i], atol=1e-5, rtol=1e-5)


def test_stereochemistry_changes_the_embedding(tmp_path):
    torch.manual_seed(0)
    encoder = make_encoder("gin", SMALL).eval()
    with torch.no_grad():
        for pair in (["N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"], ["F/C=C/F", "F/C=C\\F"]):
            first, second = encoder(*batch_of(pair, tmp_path))
            assert (first - second).abs().max() > 1e-4


def test_shapes_are_configurable(graphs):
    encoder = make_encoder("gcn", EncoderShape(layers=2, hidden_dim=10, embedding_dim=20))
    h = encoder(*graphs)
    assert h.shape == (graphs.num_graphs, 20)
    assert ProjectionHead(20, 7)(h).shape == (graphs.num_graphs, 7)
    head = PredictionHead(20, 3, layers=1, activation="relu")
    assert head(h).shape == (graphs.num_graphs, 3)
    assert len([module for module in head.modules() if isinstance(module, nn.Linear)]) == 2


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3])
def test_dropout_is_unbiased_and_decided_by_the_seed(ratio):
    h = torch.ones(1001, 301, requires_grad=True)
    torch.manual_seed(0)
    first = dropout(h, ratio)
    first.sum().backward()
    first = first.detach()
    assert torch.equal(h.grad, first), "the gradient passes where the value does"
    zero = (first == 0).float()
    assert float(zero.mean()) == pytest.approx(ratio, abs=0.003)
    assert float(zero.mean(dim=0).std()) == pytest.approx((ratio * (1 - ratio) / 1001) ** 0.5, rel=0.1, abs=1e-9)
    assert first.max() == pytest.approx(1 / (1 - ratio), rel=1e-4)
    torch.manual_seed(0)
    assert torch.equal(dropout(h, ratio), first)
    assert ratio == 0 or not torch.equal(dropout(h, ratio), first)


def test_a_new_gcn_begins_as_glorot_and_bengio_say():
    """As torch-geometric's GCNConv and the official code do: the bounds are those of nn.init.xavier_uniform_."""
    torch.manual_seed(0)
    for layer in make_encoder("gcn", EncoderShape(layers=2, hidden_dim=300)).layers:
        assert 0.099 < layer.linear.weight.abs().max() <= 0.1
        assert not layer.linear.bias.any()


def test_the_fast_forms_are_the_default_and_the_definition_is_at_hand():
    assert {"gin": FastGIN, "gcn": FastGCN} == ENCODERS
    for name, definition in DEFINITIONS.items():
        encoder = make_encoder(name, SMALL, 0.2)
        assert isinstance(encoder, definition)
        assert encoder.state_dict().keys() == definition(SMALL, 0.2).state_dict().keys()
