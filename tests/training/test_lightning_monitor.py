"""The monitor inside the real Lightning Trainer: the numbers of a plain loop, one record a step."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.watched import small_net, some_data, train, watched
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import genscope
from genscope.training.early_stopping import StopOnNormalizedLoss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed (genscope[lightning])")
pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.net(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callback: Any, folder: Path, *, epochs: int = 1, batch: int = 16, ckpt: Any = None, **chosen: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=epochs, callbacks=[callback], default_root_dir=folder, **{**quiet, **chosen})
    data, held_out = DataLoader(TensorDataset(*some_data(64)), batch), DataLoader(TensorDataset(*some_data(40, seed=9)), 16)
    model = Classifier(small_net())
    trainer.fit(model, data, held_out, ckpt_path=ckpt)
    return trainer, model


def callback_class() -> Any:
    from genscope.training.lightning_monitor import MonitorCallback

    return MonitorCallback


@pytest.mark.parametrize(("batch", "accumulate"), [(16, 1), (8, 2)])
def test_the_numbers_of_a_plain_loop(tmp_path: Path, batch: int, accumulate: int) -> None:
    net = small_net()
    with watched(net) as monitor:
        expected = train(net, monitor, steps=4)
        validation = monitor.epoch(validation=some_data(40, seed=9))["validation"]
    callback = callback_class()(tmp_path / "run", every=1, budget=None)
    _, model = fit(callback, tmp_path, batch=batch, accumulate_grad_batches=accumulate)
    from genscope.sources.run_folder import read_run

    records = read_run(tmp_path / "run").records
    steps = [record for record in records if record["kind"] == "step"]
    assert len(steps) == 4
    for found, wanted in zip(steps, expected, strict=True):
        for name, value in wanted["train"].items():
            assert found["train"][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
        for name, value in wanted["values"].items():
            assert found["values"][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
        for layer, values in wanted["layers"].items():
            assert found["layers"][layer] == pytest.approx(values, rel=1e-3, abs=1e-6)
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert len(epochs) == 1 and epochs[0]["validation"] == pytest.approx(validation, rel=1e-4)
    assert genscope.load(tmp_path / "run").head["state"] == "finished"
    assert not model.net._forward_hooks and not model.net._forward_pre_hooks


def test_it_stops_the_trainer(tmp_path: Path) -> None:
    callback = callback_class()(tmp_path / "run", every=1, stop=StopOnNormalizedLoss(patience=1, min_delta=10.0))
    trainer, _ = fit(callback, tmp_path, epochs=9)
    assert trainer.current_epoch == 2 and callback.monitor.should_stop
    assert genscope.load(tmp_path / "run").head["state"] == "stopped early"


def test_it_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    first = callback_class()(tmp_path / "run", every=1, budget=None)
    trainer, _ = fit(first, tmp_path, epochs=1, enable_checkpointing=True)
    trainer.save_checkpoint(tmp_path / "state.ckpt")
    fit(callback_class()(tmp_path / "run", every=1, budget=None), tmp_path, epochs=3, ckpt=tmp_path / "state.ckpt")
    from genscope.sources.run_folder import read_run

    assert [record["step"] for record in read_run(tmp_path / "run").records if record["kind"] == "step"] == list(range(1, 13))


def test_a_failing_run_says_so(tmp_path: Path) -> None:
    class Breaks(Classifier):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            if batch_idx == 2:
                raise ZeroDivisionError
            return super().training_step(batch, batch_idx)

    callback = callback_class()(tmp_path / "run", every=1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model = Breaks(small_net())
    with pytest.raises(ZeroDivisionError):
        trainer.fit(model, DataLoader(TensorDataset(*some_data(64)), 16))
    assert genscope.load(tmp_path / "run").head["state"] == "failed: ZeroDivisionError"
    assert not model.net._forward_hooks


def test_the_trainers_loggers_get_the_numbers(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    fit(callback_class()(tmp_path / "run", every=1), tmp_path, logger=CSVLogger(tmp_path / "csv"))
    text = next((tmp_path / "csv").rglob("metrics.csv")).read_text()
    assert "gen/normalized_loss/train" in text and "gen/rho/0" in text
