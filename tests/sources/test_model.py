"""``assess``: one row per measure whatever the model and the data are, and one sentence where nothing can be done."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import genscope
from genscope.errors import GenscopeError, UsageError
from genscope.sources.model import assess
from genscope.sources.model_cost import estimate_cost

CHEAP = ["train_error", "margin", "l2_over_margin", "log_path_norm_l2", "average_sharpness", "n_params"]
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def fitted() -> nn.Sequential:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), Y).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    return fitted()


def run(model: nn.Module, train: Any, **more: Any) -> dict[str, dict[str, Any]]:
    result = assess(model, train, **{"measures": CHEAP, "budget": "fast", **more})
    return {row["measure"]: dict(row) for row in result.rows}


def test_the_contract_of_the_rows(model: nn.Module) -> None:
    result = genscope.assess(model, (X, Y), (X.flip(0), Y.flip(0)), net(), ["margin", "layer_frobenius_norm", "pacbayes_init"], "fast")
    document = result.to_dict()
    assert {"model", "data", "measures"} <= set(document)
    assert all({"measure", "layer", "value", "low", "high", "status", "reason", "options", "seed"} <= set(row) for row in document["measures"])
    layers = [row["layer"] for row in result.rows if row["measure"] == "layer_frobenius_norm"]
    assert layers == ["0.weight", "2.weight"]
    assert result.rows[-1]["options"]["target_error"] == 0.1
    assert "training" in assess(model, (X, Y), measures=["train_error"]).summary["verdict"]
    result.to_json()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_measure_of_the_fast_budget_comes_out(model: nn.Module) -> None:
    result = assess(model, (X, Y), (X.flip(0), Y.flip(0)), net(), budget="fast")
    undefined = {row["measure"]: row["reason"] for row in result.rows if row["value"] is None}
    assert set(undefined) <= {"kl_at_sharpness", "log_rho", "log_margin_over_rho", "homogeneity_degree"}, undefined
    assert {"margins", "bi_criteria", "zero_prior_certificate"} <= set(result.curves)
    assert result.summary["n_computed"] >= 70


def test_all_forms_of_data_give_the_same_numbers(model: nn.Module) -> None:
    data = TensorDataset(X, Y)
    forms = [
        (X, Y),
        (X.numpy(), Y.numpy()),
        data,
        DataLoader(data, batch_size=7),
        DataLoader(data, batch_size=7, shuffle=True, drop_last=True),
        [(X[:50], Y[:50]), (X[50:], Y[50:])],
        (X.double().numpy(), 2.0 * Y.numpy() - 1.0),
    ]
    first, *others = [run(model, form) for form in forms]
    for other in others:
        for name, row in first.items():
            assert other[name]["value"] == pytest.approx(row["value"], rel=1e-5), name


def test_the_model_is_left_as_it_was() -> None:
    model = net().train()
    before = copy.deepcopy(model.state_dict())
    run(model, (X, Y))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_batch_norm_is_folded_and_initial_weights_follow() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    initial = copy.deepcopy(model)
    x = torch.randn(40, 1, 5, 5)
    y = (x.mean((1, 2, 3)) > 0).long()
    model(x)
    result = assess(
        model, (x, y), initial=initial.state_dict(), measures=["train_error", "l2_dist", "pac_bayes_certificate_init", "n_params"], budget="fast"
    )
    rows = {row["measure"]: row for row in result.rows}
    assert any("folded into 1" in note for note in result.tail["notes"])
    assert rows["n_params"]["value"] == 27 + 3 + 54 + 2
    assert rows["l2_dist"]["value"] > 0 and rows["pac_bayes_certificate_init"]["value"] is not None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: (net(), (X[:, :3], Y)), "does not accept the training data"),
        (lambda: (net(), (X, Y + 5)), "labels go up to 6, but the model has 2 outputs"),
        (lambda: (net(), (X, Y + 0.5)), "fractional"),
        (lambda: (net(), (X, Y - 3)), "start at 0"),
        (lambda: (net(), (X, nn.functional.one_hot(Y))), "one integer class number"),
        (lambda: (net(), (torch.where(X > 2, torch.nan, X), Y)), "NaN"),
        (lambda: (net(), (X[:0], Y[:0])), "empty"),
        (lambda: (net(), (X, Y[:10])), "60 inputs but 10 labels"),
        (lambda: (net(), "data.npz"), "give a DataLoader"),
        (lambda: (net(), (["a"], [0])), "not an array of numbers"),
        (lambda: (nn.Flatten(0), (X, Y)), "logits"),
        (lambda: (lambda x: x, (X, Y)), "nn.Module"),
        (lambda: (net(), [X]), "must give pairs|empty|change"),
    ],
)
def test_bad_input_is_one_sentence(change: Any, sentence: str) -> None:
    model, data = change()
    with pytest.raises(GenscopeError, match=sentence) as caught:
        assess(model, data, measures=CHEAP, budget="fast")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_randomness_is_found_and_named() -> None:
    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :2] + torch.rand_like(x[:, :2])

    class Restless(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            if i >= 10:
                raise IndexError
            return torch.rand(4), i % 2

    with pytest.raises(GenscopeError, match="another output on each call"):
        assess(Noisy(), (X, Y), measures=CHEAP)
    with pytest.raises(GenscopeError, match=r"random augmentation|change from one reading to the next"):
        assess(net(), Restless(), measures=CHEAP)


def test_untrained_one_class_and_single_examples_still_give_rows() -> None:
    untrained = run(net(3), (X, Y))
    assert untrained["l2_over_margin"]["status"] == "skipped" and "divided" in untrained["l2_over_margin"]["reason"]
    assert untrained["n_params"]["value"] == 58
    one_class = assess(net(), (X, torch.zeros(60)), measures=CHEAP, budget="fast")
    assert any("class 0" in note for note in one_class.tail["notes"])
    single = assess(net(), (X[:1], Y[:1]), budget="fast")
    assert {row["measure"]: row for row in single.rows}["train_error"]["value"] in (0.0, 1.0)


def test_integer_inputs_binary_outputs_and_no_layers() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(11, 4), nn.Linear(4, 2)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(tokens).mean(1))

    tokens = torch.randint(0, 11, (30, 5), generator=torch.Generator().manual_seed(0))
    words = assess(Words(), (tokens, (tokens[:, 0] > 5).long()), budget="fast")
    rows = {row["measure"]: row for row in words.rows}
    assert rows["jacobian_frobenius_norm"]["status"] == "skipped" and "integers" in rows["jacobian_frobenius_norm"]["reason"]
    assert rows["train_error"]["value"] is not None and rows["hessian_trace"]["value"] is not None

    binary = run(nn.Linear(4, 1), (X, 2 * Y - 1), loss="logistic")
    assert binary["train_error"]["value"] is not None

    bare = assess(nn.Flatten(), (X[:, :2], Y), budget="fast")
    rows = {row["measure"]: row for row in bare.rows}
    assert rows["margin"]["value"] is not None and rows["n_params"]["value"] == 0
    assert all(row["value"] is not None or row["reason"] for row in bare.rows)


def test_attention_and_layer_norm_leave_the_other_measures() -> None:
    class Attentive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.norm, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.LayerNorm(4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.attention(x, x, x, need_weights=False)[0]).mean(1))

    torch.manual_seed(0)
    x = torch.randn(20, 3, 4)
    rows = run(Attentive(), (x, (x[:, 0, 0] > 0).long()), measures=[*CHEAP, "log_rho", "hessian_trace"])
    assert rows["log_path_norm_l2"]["status"] == "skipped" and rows["log_path_norm_l2"]["reason"]
    assert rows["log_rho"]["status"] != "ok"
    assert rows["average_sharpness"]["value"] is not None and rows["hessian_trace"]["value"] is not None


def test_a_model_that_breaks_under_differentiation_loses_only_those_measures() -> None:
    class Severed(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy((x.detach().numpy() @ self.weight.detach().numpy().T).astype(np.float32))

    rows = run(Severed(4, 2), (X, Y), measures=["train_error", "n_params", "hessian_trace", "fisher_rao_norm"])
    assert rows["train_error"]["value"] is not None
    assert rows["hessian_trace"]["value"] is None and rows["hessian_trace"]["status"] == "failed"


def test_usage_errors() -> None:
    with pytest.raises(UsageError, match="fast"):
        assess(net(), (X, Y), budget="huge")
    with pytest.raises(UsageError, match="did you mean"):
        assess(net(), (X, Y), measures=["margni"])
    with pytest.raises(UsageError, match="no loss"):
        assess(net(), (X, Y), loss="hinge")
    with pytest.raises(UsageError, match="has an option"):
        assess(net(), (X, Y), options={"n_drawz": 3})
    with pytest.raises(GenscopeError, match="device"):
        assess(net(), (X, Y), device="cuda:99")
    with pytest.raises(GenscopeError, match="initial weights do not fit"):
        assess(net(), (X, Y), initial={"other": torch.zeros(1)})


def test_same_seed_same_document_and_progress(model: nn.Module) -> None:
    seen: list[float] = []
    one = assess(model, (X, Y), measures=CHEAP, budget="fast", progress=lambda done, total, name, share: seen.append(share))
    two = assess(model, (X, Y), measures=CHEAP[::-1], budget="fast")
    assert seen[-1] == 1.0 and seen == sorted(seen)
    assert {row["measure"]: row["value"] for row in one.rows} == {row["measure"]: row["value"] for row in two.rows}
    other = assess(model, (X, Y), measures=["average_sharpness"], budget="fast", seed=1)
    assert other.rows[0]["value"] != next(row["value"] for row in one.rows if row["measure"] == "average_sharpness")


def test_cost_grows_with_the_budget(model: nn.Module) -> None:
    costs = [estimate_cost(model, (X, Y), None, budget) for budget in ("fast", "default", "paper")]
    assert costs[0].forwards < costs[1].forwards < costs[2].forwards
