"""From five small networks to a ranking, as a user goes: assess each, save the results, rank them by their test errors."""

import copy
import csv
import json
from pathlib import Path

import pytest
import torch
from tests.cli.conftest import Run
from torch import nn

from genscope.sources.model import assess
from genscope.training.models import mlp

WIDTHS = (4, 8, 12, 16, 24)
MEASURES = ("train_error", "margin", "l2_dist", "log_prod_of_spec", "layer_frobenius_norm")


def trained(width: int, x: torch.Tensor, y: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """A network after a few full-batch steps, and as it was before."""
    torch.manual_seed(width)
    model = mlp((64, width, 10))
    initial = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), initial


def test_saved_assessments_are_ranked_by_scores(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from genscope.training.zoo import load_digits

    folder = tmp_path / "cwd"
    folder.mkdir(exist_ok=True)
    digits = load_digits()
    scores = []
    for width in WIDTHS:
        model, initial = trained(width, digits.train_inputs, digits.train_labels)
        with torch.no_grad():
            wrong = model(digits.test_inputs).argmax(1) != digits.test_labels
        scores.append((f"run-{width}", float(wrong.double().mean())))
        data = (digits.train_inputs[:200], digits.train_labels[:200])
        assess(model, data, initial=initial, measures=MEASURES, budget="fast").save(folder / f"run-{width}")
    with (folder / "scores.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("model", "test_error"), *scores])
    done = run("rank", *(name for name, _ in scores), "--scores", "scores.csv", "--json", "--bootstrap", "50", "--permutations", "100")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    rows = {row["measure"]: row for row in document["measures"]}
    assert document["n_models"] == len(WIDTHS)
    assert {"margin", "l2_dist", "log_prod_of_spec"} <= set(rows)
    assert all(rows[name]["kendall"] is not None and rows[name]["n"] == len(WIDTHS) for name in ("margin", "l2_dist"))
    # A network twice as wide fits the digits better and with a larger margin, whatever the seed.
    assert rows["margin"]["kendall"] < -0.5
    three = run("rank", *(name for name, _ in scores[:3]), "--scores", "scores.csv", "--json", "--bootstrap", "50", "--permutations", "100")
    assert three.code in (0, 1)
    assert "few" in three.out + three.err or "least" in three.err
