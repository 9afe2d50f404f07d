"""The monitor inside the real Hugging Face Trainer: the numbers of a plain loop, one record a step."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.watched import small_net, some_data, train, watched
from torch.nn import functional as F

import genscope
from genscope.training.early_stopping import StopOnNormalizedLoss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (genscope[huggingface])")
    pytest.importorskip("accelerate", reason="accelerate is not installed (genscope[huggingface])")
pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(torch.nn.Module):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits} if labels is not None else {"logits": logits}


class Pairs(torch.utils.data.Dataset):
    def __init__(self, n: int, seed: int = 1) -> None:
        self.x, self.y = some_data(n, seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": self.x[index], "labels": self.y[index]}


class InOrder(transformers.Trainer):
    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def fit(callback: Any, folder: Path, *, epochs: int = 1, batch: int = 16, model: Any = None, data: Any = None, **chosen: Any) -> Any:
    resume = chosen.pop("resume", None)
    settings = {"eval_strategy": "epoch", "max_grad_norm": 0.0, "save_strategy": "no", **chosen}
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "hf"), num_train_epochs=epochs, per_device_train_batch_size=batch, per_device_eval_batch_size=16, learning_rate=0.1,
        lr_scheduler_type="constant", optim="sgd", report_to=[], disable_tqdm=True, use_cpu=True, **settings,
    )  # fmt: skip
    model = model or Classifier(small_net())
    trainer = InOrder(model, arguments, train_dataset=data or Pairs(64), eval_dataset=data or Pairs(40, 9), callbacks=[callback])
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def callback_class() -> Any:
    from genscope.training.hugging_face_monitor import MonitorCallback

    return MonitorCallback


@pytest.mark.parametrize(("batch", "accumulate"), [(16, 1), (8, 2)])
def test_the_numbers_of_a_plain_loop(tmp_path: Path, batch: int, accumulate: int) -> None:
    net = small_net()
    with watched(net) as monitor:
        expected = train(net, monitor, steps=4)
        validation = monitor.epoch(validation=some_data(40, seed=9))["validation"]
    trainer = fit(callback_class()(tmp_path / "run", every=1, budget=None), tmp_path, batch=batch, gradient_accumulation_steps=accumulate)
    from genscope.sources.run_folder import read_run

    records = read_run(tmp_path / "run").records
    steps = [record for record in records if record["kind"] == "step"]
    assert len(steps) == 4
    for found, wanted in zip(steps, expected, strict=True):
        for name, value in wanted["train"].items():
            assert found["train"][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
        for name, value in wanted["values"].items():
            assert found["values"][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert len(epochs) == 1 and epochs[0]["validation"] == pytest.approx(validation, rel=1e-4)
    assert genscope.load(tmp_path / "run").head["state"] == "finished"
    assert not trainer.model._forward_hooks and not trainer.model._forward_pre_hooks


def test_it_stops_the_trainer(tmp_path: Path) -> None:
    callback = callback_class()(tmp_path / "run", every=1, stop=StopOnNormalizedLoss(patience=1, min_delta=10.0))
    trainer = fit(callback, tmp_path, epochs=9)
    assert trainer.state.epoch == 2.0 and genscope.load(tmp_path / "run").head["state"] == "stopped early"


def test_it_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    from genscope.sources.run_folder import read_run

    fit(callback_class()(tmp_path / "run", every=1, budget=None), tmp_path, epochs=2, save_strategy="epoch")
    fit(
        callback_class()(tmp_path / "run", every=1, budget=None),
        tmp_path,
        epochs=3,
        save_strategy="epoch",
        resume=str(tmp_path / "hf" / "checkpoint-4"),
    )
    records = read_run(tmp_path / "run").records
    assert [record["step"] for record in records if record["kind"] == "step"] == list(range(1, 13))
    assert [record["epoch"] for record in records if record["kind"] == "epoch"] == [1, 2, 3]


def test_a_causal_language_model_is_shifted(tmp_path: Path) -> None:
    config = transformers.GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    tokens = torch.randint(0, 11, (8, 8))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    model.eval()
    with torch.no_grad():
        expected = float(model(input_ids=tokens, labels=tokens).loss)
    callback = callback_class()(tmp_path / "run", every=1, budget=None)
    fit(callback, tmp_path, model=model, data=data, batch=8, eval_strategy="epoch", warmup_steps=10**6)
    assert "output norm" in callback.monitor.notes[0]
    from genscope.sources.run_folder import read_run

    epoch = next(record for record in read_run(tmp_path / "run").records if record["kind"] == "epoch")
    with torch.no_grad():
        expected = float(model.eval()(input_ids=tokens, labels=tokens).loss)
    assert epoch["validation"]["loss"] == pytest.approx(expected, rel=1e-4)
