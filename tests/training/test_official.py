import os
import pickle

import numpy as np
import pytest
import torch
from official import official_names
from paths import GOLDEN

import molclr
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import load_encoder
from molclr.training.official import import_official

MIRROR = os.environ.get("MOLCLR_MIRROR")


def checkpoint_of(encoder):
    """The tensors of one of our encoders as the official code would save them, with a projection head."""
    head = {"out_lin.0.weight": torch.zeros(2, 2), "out_lin.0.bias": torch.zeros(2)}
    return head | official_names(encoder.state_dict())


@pytest.fixture(params=["gin", "gcn"])
def encoder(request):
    torch.manual_seed(0)
    return make_encoder(
        request.param, EncoderShape(layers=2, hidden_dim=8, embedding_dim=6, gcn_normalization=False)
    ).eval()


def test_import(encoder, graphs, tmp_path):
    torch.save(checkpoint_of(encoder), tmp_path / "model.pth")
    import_official(tmp_path / "model.pth", tmp_path / "encoder.safetensors")
    imported, about = load_encoder(tmp_path / "encoder.safetensors")
    assert imported.name == encoder.name and imported.shape == encoder.shape
    assert about["held_out"] is None
    with torch.no_grad():
        assert torch.equal(imported.eval()(*graphs), encoder(*graphs))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("feat_lin.weight"),
        lambda tensors: tensors.pop("batch_norms.1.running_mean"),
        lambda tensors: tensors.pop("gnns.1.edge_embedding2.weight"),
        lambda tensors: tensors.update({"x_embedding1.weight": torch.zeros(7, 8)}),
        lambda tensors: tensors.update({"feat_lin.bias": torch.zeros(())}),
        lambda tensors: tensors.update({"feat_lin.bias": torch.zeros(0), "feat_lin.weight": torch.zeros(0, 8)}),
        lambda tensors: tensors.update({"feat_lin.weight": tensors["feat_lin.weight"].half()}),
        lambda tensors: tensors.update({"x_embedding1.weight": tensors["x_embedding1.weight"].long()}),
        lambda tensors: tensors["feat_lin.weight"].fill_(torch.nan),
        lambda tensors: tensors.update({"pred_head.0.weight": tensors.pop("out_lin.0.weight")}),
        lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("out_lin")],
        lambda tensors: tensors.clear(),
    ],
)
def test_other_tensors_are_rejected(encoder, tmp_path, change):
    tensors = checkpoint_of(encoder)
    change(tensors)
    torch.save(tensors, tmp_path / "model.pth")
    with pytest.raises(
        MolclrError, match=r"model\.pth' does not hold an official GIN or GCN \(.*\); give the model\.pth"
    ):
        import_official(tmp_path / "model.pth", tmp_path / "encoder.safetensors")
    assert not (tmp_path / "encoder.safetensors").exists()


def test_a_checkpoint_of_several_gpus_is_the_same(encoder, tmp_path):
    """DataParallel puts `module.` before every name."""
    tensors = checkpoint_of(encoder)
    for name, saved in (("one", tensors), ("several", {f"module.{key}": tensor for key, tensor in tensors.items()})):
        torch.save(saved, tmp_path / f"{name}.pth")
        import_official(tmp_path / f"{name}.pth", tmp_path / f"{name}.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "several.safetensors").read_bytes()


class Evil:
    """Leaves a trace if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_code_is_run(tmp_path):
    torch.save({"weights": Evil(tmp_path / "trace")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Evil(tmp_path / "trace")))
    (tmp_path / "c.pth").write_bytes(b"PK\x03\x04 and then nothing")
    (tmp_path / "d.pth").write_text("smiles,label\nCCO,1\n")
    torch.save({"epoch": 3}, tmp_path / "e.pth")
    torch.save([torch.zeros(2)], tmp_path / "f.pth")
    torch.save({"weight": torch.zeros(5000)}, tmp_path / "whole.pth")
    whole = bytearray((tmp_path / "whole.pth").read_bytes())
    (tmp_path / "g.pth").write_bytes(whole[:9000])
    whole[len(whole) // 2] ^= 1
    (tmp_path / "h.pth").write_bytes(whole)
    (tmp_path / "i.pth").touch()
    causes = {
        "a": "UnpicklingError: Trying to load unsupported GLOBAL posix.mkdir whose module posix is blocked",
        "b": "UnpicklingError: Unsupported operand",
        "c": "RuntimeError: PytorchStreamReader failed reading zip archive",
        "e": "TypeError: the content is not a dictionary of tensors",
        "f": "TypeError: the content is not a dictionary of tensors",
        "h": "ValueError: wrong checksum of whole/data/0",
        "i": "EOFError",
    }
    for name in "abcdefghi":
        with pytest.raises(MolclrError, match=rf"is damaged or not a checkpoint of tensors \({causes.get(name, '')}"):
            import_official(tmp_path / f"{name}.pth", tmp_path / "encoder.safetensors")
    assert not (tmp_path / "trace").exists()
    with pytest.raises(MolclrError, match=r"The checkpoint '.*none\.pth' does not exist"):
        import_official(tmp_path / "none.pth", tmp_path / "encoder.safetensors")


def test_a_gin_of_the_official_code_gives_its_embeddings(tmp_path):
    """Its weights under the names that the official code saves them with."""
    golden = np.load(GOLDEN / "gin_small.npz")
    tensors = {name.removeprefix("param/"): torch.from_numpy(golden[name]) for name in golden.files if "/" in name}
    torch.save(tensors, tmp_path / "model.pth")
    import_official(tmp_path / "model.pth", tmp_path / "encoder.safetensors")
    h = molclr.Encoder.load(tmp_path / "encoder.safetensors").embed(golden["smiles"].tolist())
    np.testing.assert_allclose(h, golden["h"], atol=1e-5)


@pytest.mark.skipif(not MIRROR, reason="MOLCLR_MIRROR is not set")
@pytest.mark.parametrize("explicit_hydrogens", [False, True])
def test_the_released_gcn_gives_the_official_embeddings(tmp_path, monkeypatch, explicit_hydrogens):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    golden = np.load(GOLDEN / "gcn_official_embeddings.npz")
    encoder = molclr.Encoder.load("official-gcn")
    h = encoder.embed(golden["smiles"].tolist(), explicit_hydrogens=explicit_hydrogens)
    assert h.shape == (64, 512) and h.dtype == np.float32
    np.testing.assert_allclose(h, golden[f"h_addhs{explicit_hydrogens:d}"], atol=1e-5, rtol=1e-6)
    assert [path.name for path in (tmp_path / "molclr").iterdir()] == ["official-gcn.safetensors"]
