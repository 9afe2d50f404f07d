"""``assess`` end to end on a published CIFAR-10 network."""

from pathlib import Path

import pytest
import torch

from genscope.cli.factories import read_weights
from genscope.sources.model import assess
from genscope.training.models import resnet20


@pytest.mark.data
def test_a_published_residual_network(real_data: Path) -> None:
    model = resnet20()
    model.load_state_dict(read_weights(str(real_data / "resnet-cifar10-series" / "resnet20-12fca82f.th"), model))
    model.eval()
    x = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = model(x).argmax(1)
    names = [
        "train_error",
        "margin",
        "l2_path_over_margin",
        "normalized_train_loss",
        "log_rho",
        "fisher_rao_norm",
        "average_sharpness",
        "condition_c1",
    ]
    result = assess(model, (x, y), measures=names, budget="fast")
    rows = {row["measure"]: row for row in result.rows}
    assert rows["train_error"]["value"] == 0.0
    assert all(
        rows[name]["value"] is not None for name in ("margin", "l2_path_over_margin", "normalized_train_loss", "fisher_rao_norm", "average_sharpness")
    )
    # Skips and folded biases forbid a layerwise normalization, and theorem 1 is about other networks: both say so.
    assert all(rows[name]["status"] == "skipped" and rows[name]["reason"] for name in ("log_rho", "condition_c1"))
    assert any("folded into 19 layers" in note for note in result.tail["notes"])
