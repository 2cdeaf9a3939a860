import json

import pytest
from paths import GOLDEN

from molclr.config import Pretrain
from molclr.training.schedule import learning_rate


def test_flat_warm_up_equals_the_official_schedule():
    golden = json.loads((GOLDEN / "lr_schedule.json").read_text())
    settings = Pretrain(
        epochs=golden["epochs"], warmup_epochs=golden["warm_up"], learning_rate=golden["init_lr"], warmup="flat"
    )
    rates = [learning_rate(settings, epoch) for epoch in range(settings.epochs)]
    assert rates == pytest.approx(golden["lr_per_epoch"], rel=1e-9, abs=1e-15)


def test_linear_warm_up_rises_to_the_same_cosine():
    flat, linear = (Pretrain(epochs=20, warmup_epochs=4, learning_rate=1.0, warmup=kind) for kind in ("flat", "linear"))
    assert [learning_rate(linear, epoch) for epoch in range(4)] == [0.25, 0.5, 0.75, 1.0]
    for epoch in range(4, 20):
        assert learning_rate(linear, epoch) == learning_rate(flat, epoch)
    assert learning_rate(linear, 12) == pytest.approx(0.5)
