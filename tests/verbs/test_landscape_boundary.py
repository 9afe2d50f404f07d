import json

import numpy as np
import pytest
import torch
from torch import nn

import genscope
from genscope.core.grids import unpack_grid
from genscope.errors import UnsupportedInput, UsageError
from genscope.training.models import mlp, small_conv


def ring(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 2, generator=generator) * 4 - 2
    return x, (x.norm(dim=1) > 1.2).long()


class Disc(nn.Module):
    """Class 1 outside the circle of radius √|w|."""

    def __init__(self):
        super().__init__()
        self.radius = nn.Parameter(torch.tensor([[1.44]]))

    def forward(self, x):
        return torch.cat([x[:, :1] * 0, x.square().sum(1, keepdim=True) - self.radius], 1)


def test_distances_of_a_disc_and_the_share_of_the_window(tmp_path):
    x, y = ring()
    model = Disc()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    result = genscope.landscape_boundary(model, (x, y), test=ring(400, 1), frames=6, points=80, extent=(-2, 2, -2, 2), out=tmp_path / "b")
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(model.radius, before["radius"]) and model.training
    np.testing.assert_allclose([row["distance"] for row in result.rows], np.abs(x.norm(dim=1).numpy() - 1.2), atol=2e-4)
    assert all(row["correct"] and row["lower_bound"] is None and not row["exact"] for row in result.rows)
    classes = unpack_grid(result.curves["map"]["classes"])
    assert classes.shape == (80, 80) and abs((classes == 0).mean() - np.pi * 1.44 / 16) < 0.01
    assert result.head["wrong_class_area"]["value"] < 0.05 and result.head["test_accuracy"] == 1.0
    frames = unpack_grid(result.curves["animation"]["classes"])
    sizes = (frames == 0).mean((1, 2))
    # filter-normalized: a step t multiplies the squared radius by 1 ± t
    expected = np.pi * 1.44 * (1 + np.outer([1, -1], result.curves["animation"]["steps"])) / 16
    assert min(np.abs(sizes - one).max() for one in expected) < 0.01
    loaded = genscope.load(tmp_path / "b")
    assert loaded.rows[3]["distance"] == result.rows[3]["distance"] and loaded.verb == "landscape boundary"
    assert json.loads(result.to_json())["examples"][0]["example"] == 0
    assert (
        genscope.landscape_boundary(model, (x, y), frames=0, points=20).rows == genscope.landscape_boundary(model, (x, y), frames=0, points=20).rows
    )


def test_relu_networks_say_where_a_distance_is_exact():
    torch.manual_seed(0)
    x, y = ring(20)
    result = genscope.landscape_boundary(mlp((2, 4, 2)), (x, y), frames=0, points=20)
    known = [row for row in result.rows if row["distance"] is not None]
    assert all(row["lower_bound"] <= row["distance"] * (1 + 1e-6) for row in known)
    assert all(row["lower_bound"] == row["distance"] for row in known if row["exact"])


def test_images_get_a_plane_through_three_examples_and_batch_norm_a_policy():
    torch.manual_seed(0)
    model = small_conv((3,), in_channels=1, image_size=6, n_classes=3, kernel=3, batch_norm=True)
    x, y = torch.randn(30, 1, 6, 6), torch.arange(30) % 3
    result = genscope.landscape_boundary(model, (x, y), examples=5, points=12, frames=2)
    chosen = result.head["plane"]["through"]
    assert sorted(int(y[index]) for index in chosen) == [0, 1, 2] and result.head["wrong_class_area"] is None
    assert len(result.rows) == 5 and result.head["animation"]["bn_policy"] == "recalibrate"
    assert max(abs(result.curves["examples"]["off_plane"][index]) for index in chosen) < 1e-4
    frozen = genscope.landscape_boundary(model, (x, y), examples=5, points=12, frames=2, bn_policy="frozen", through=(4, 0, 8))
    assert frozen.head["animation"]["bn_policy"] == "frozen" and frozen.head["plane"]["through"] == [4, 0, 8]


def test_one_output_and_everything_of_one_class():
    x, y = ring()
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.fill_(-1.0)
    result = genscope.landscape_boundary(model, (x, y), loss="logistic", frames=0, points=10)
    assert all(row["status"] == "skipped" and row["distance"] is None and row["reason"] for row in result.rows)
    assert result.summary["margin_min"] is None and "measured examples are right" in result.summary["verdict"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 1}, "at least 2 points"),
        ({"extent": (1, 0, 0, 1)}, "left < right"),
        ({"extent": (0, float("nan"), 0, 1)}, "left < right"),
        ({"examples": 0}, "At least one example"),
        ({"frames": -1}, "cannot be negative"),
        ({"amplitude": 0.0}, "positive number"),
        ({"through": (0, 1, 1)}, "three different"),
        ({"through": (0, 1, 99)}, "from 0 to 59"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        genscope.landscape_boundary(Disc(), ring(), **options)


def test_tokens_have_no_boundary():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(UnsupportedInput, match="tokens"):
        genscope.landscape_boundary(model, (torch.randint(0, 9, (12, 2), generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2))
