"""Bad data and odd models: one sentence, or a status for the measures that cannot be; the others still come out."""

import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from genscope.core.results import Result
from genscope.errors import GenscopeError
from genscope.sources.model import assess

NAMES = ["train_error", "margin", "l2_over_margin", "log_rho", "normalized_train_loss", "l2_path_over_margin", "average_sharpness", "fisher_rao_norm"]


def inputs(n: int = 24, width: int = 5) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0))


def labels(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


X = inputs()
Y = labels(X)


def net(*extra: nn.Module, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8, bias=bias), nn.ReLU(), *extra, nn.Linear(8, 3, bias=False))


def run(model: nn.Module, data: Any, **more: Any) -> tuple[Result, dict[str, dict[str, Any]]]:
    result = assess(model, data, measures=more.pop("measures", NAMES), budget="fast", **more)
    return result, {row["measure"]: row for row in result.rows}


class Shaky(nn.Module):
    """Functional dropout that evaluation mode does not switch off."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


class Neighbours(nn.Module):
    """Subtracts the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Augmented(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        return X[place] + 0.1 * torch.randn(5), Y[place]


class Breaking(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        if place >= 16:
            raise OSError("disk gone")
        return X[place], Y[place]


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Unknown length."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(X, Y, strict=True))


class Wrapped(nn.Module):
    """Returns what ``wrap`` makes of the logits."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.wrap = net(), wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.inner(x))


def with_nan() -> Tensor:
    x = X.clone()
    x[3, 1] = float("nan")
    return x


def sampled() -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), batch_size=10, sampler=WeightedRandomSampler([1.0] * 24, 24), drop_last=True)


REFUSED: dict[str, tuple[Callable[[], tuple[Any, Any]], str]] = {
    "functional dropout": (lambda: (net(Shaky()), (X, Y)), "2: the same input gives another output"),
    "batch norm without statistics": (
        lambda: (net(nn.BatchNorm1d(8, track_running_stats=False)), (X, Y)),
        "2: batch norm",
    ),
    "depends on its batch": (lambda: (net(Neighbours()), (X, Y)), "depends on the rest of its batch"),
    "random augmentation": (lambda: (net(), DataLoader(Augmented(), batch_size=8)), "random augmentation"),
    "random sampler that drops": (lambda: (net(), sampled()), "shuffles and drops the last 4 of 24"),
    "label too large": (lambda: (net(), (X, Y + 2)), "labels go up to 4, but the model has 3 outputs"),
    "label negative": (lambda: (net(), (X, Y - 2)), "class numbers start at 0"),
    "labels fractional": (lambda: (net(), (X, Y + 0.5)), "fractional"),
    "labels not a number": (lambda: (net(), (X, torch.full((24,), float("nan")))), "fractional|NaN"),
    "one-hot": (lambda: (net(), (X, F.one_hot(Y, 3))), "argmax"),
    "strings as labels": (lambda: (net(), (X.numpy(), np.array(["a"] * 24))), "not an array of numbers"),
    "nan inputs": (lambda: (net(), (with_nan(), Y)), "NaN or infinite inputs in 1 of 24"),
    "no examples": (lambda: (net(), (X[:0], Y[:0])), "empty"),
    "empty loader": (lambda: (net(), DataLoader(TensorDataset(X[:0], Y[:0]))), "empty"),
    "different lengths": (lambda: (net(), (X, Y[:-1])), "24 inputs but 23 labels"),
    "loader that breaks": (lambda: (net(), DataLoader(Breaking(), batch_size=8)), "batch 3.*disk gone"),
    "wrong width": (lambda: (net(), (X[:, :4], Y)), "does not accept the training data of shape"),
    "a vector of scores": (lambda: (Wrapped(lambda z: z[:, 0]), (X, Y)), r"shape \[examples, 1\]"),
    "an empty tuple": (lambda: (Wrapped(lambda z: ()), (X, Y)), "returns"),
    "no tensor": (lambda: (Wrapped(lambda z: {"loss": 1.0}), (X, Y)), "returns"),
    "a generator": (lambda: (net(), iter([(X, Y)])), "give a DataLoader"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_one_sentence(case: str) -> None:
    make, sentence = REFUSED[case]
    model, data = make()
    with pytest.raises(GenscopeError, match=sentence) as caught:
        run(model, data)
    assert "\n" not in str(caught.value)


ACCEPTED: dict[str, Callable[[], tuple[Any, Any]]] = {
    "float labels that are whole": lambda: (net(), (X, Y.double())),
    "one class": lambda: (net(), (X, torch.zeros(24, dtype=torch.long))),
    "one example": lambda: (net(), (X[:1], Y[:1])),
    "unknown length": lambda: (net(), DataLoader(Stream(), batch_size=7)),
    "a tuple": lambda: (Wrapped(lambda z: (z, None)), (X, Y)),
    "a mapping": lambda: (Wrapped(lambda z: {"logits": z}), (X, Y)),
    "an object with logits": lambda: (Wrapped(lambda z: SimpleNamespace(logits=z)), (X, Y)),
    "training mode with dropout": lambda: (net(nn.Dropout(0.5)).train(), (X, Y)),
    "training mode with batch norm": lambda: (net(nn.BatchNorm1d(8)).train(), (X, Y)),
    "shuffled, last batch dropped": lambda: (net(), DataLoader(TensorDataset(X, Y), batch_size=10, shuffle=True, drop_last=True)),
    "not homogeneous": lambda: (nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)), (X, Y)),
    "half precision": lambda: (net().to(torch.bfloat16), (X, Y)),
    "no layers and no parameters": lambda: (nn.Flatten(), (X, Y)),
    "frozen": lambda: (net().requires_grad_(False), (X, Y)),
    "batches of mappings": lambda: (net(), [{"x": X[:12], "labels": Y[:12]}, {"x": X[12:], "labels": Y[12:]}]),
}


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_a_result_with_values_or_reasons_and_an_unchanged_model(case: str) -> None:
    model, data = ACCEPTED[case]()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    _, rows = run(model, data)
    assert rows["train_error"]["value"] is not None
    assert all(row["value"] is not None or row["reason"] for row in rows.values())
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_wrong_everywhere_has_negative_margins_and_no_norms_over_them() -> None:
    model = net()
    with torch.no_grad():
        wrong = model(X).argmin(1)
    _, rows = run(model, (X, wrong))
    assert rows["train_error"]["value"] == 1.0 and rows["margin"]["value"] < 0
    assert rows["l2_over_margin"]["value"] is None and "margin" in rows["l2_over_margin"]["reason"]
    assert rows["average_sharpness"]["value"] is not None


def test_untrained_against_itself_has_moved_nowhere() -> None:
    model = net()
    _, rows = run(model, (X, Y), initial=model.state_dict(), measures=["l2_dist", "dist_spec_init", "pac_bayes_certificate_init"])
    assert rows["l2_dist"]["value"] == 0.0
    assert all(row["value"] is not None or row["reason"] for row in rows.values())


@pytest.mark.parametrize(("value", "broken"), [(0.0, "zero"), (float("nan"), "nan"), (1e30, "huge")])
def test_degenerate_weights_never_divide_by_zero(value: float, broken: str) -> None:
    model = net()
    with torch.no_grad():
        model[2].weight.fill_(value)
    result, rows = run(model, (X, Y))
    result.to_json()
    assert rows["normalized_train_loss"]["value"] is None or broken == "huge"
    assert all(row["value"] is not None or (row["reason"] and row["status"] in ("skipped", "failed")) for row in rows.values())


def test_integer_inputs_through_an_embedding_in_mappings() -> None:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(20, 6), nn.Linear(6, 3)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
            mean = (self.embedding(input_ids) * attention_mask[..., None]).sum(1) / attention_mask.sum(1, keepdim=True)
            return SimpleNamespace(logits=self.head(mean))

    torch.manual_seed(0)
    ids = torch.randint(0, 20, (24, 7))
    mask = torch.ones_like(ids)
    batches = [{"input_ids": ids[part], "attention_mask": mask[part], "labels": Y[part]} for part in (slice(0, 16), slice(16, 24))]
    model = Text()
    _, rows = run(model, batches)
    assert rows["train_error"]["status"] == "ok" and rows["average_sharpness"]["value"] is not None
    _, pair = run(model, ({"input_ids": ids, "attention_mask": mask}, Y))
    assert pair["train_error"]["value"] == rows["train_error"]["value"]


def test_a_missing_initialization_and_one_that_does_not_fit() -> None:
    _, rows = run(net(), (X, Y), measures=["l2_dist", "margin"])
    assert rows["l2_dist"]["status"] == "skipped" and "initial_params" in rows["l2_dist"]["reason"] and rows["margin"]["status"] == "ok"
    with pytest.raises(GenscopeError, match="do not fit"):
        run(net(), (X, Y), initial={"0.weight": torch.zeros(2, 2)})


def test_a_tiny_hugging_face_classifier() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
    small = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "num_labels": 3}
    ids = torch.randint(0, 50, (24, 6))
    batches = [{"input_ids": ids[part], "attention_mask": torch.ones_like(ids[part]), "labels": Y[part]} for part in (slice(0, 16), slice(16, 24))]
    _, rows = run(
        transformers.BertForSequenceClassification(transformers.BertConfig(**small)), batches, measures=["train_error", "margin", "l2_dist"]
    )
    assert rows["train_error"]["status"] == rows["margin"]["status"] == "ok"
