import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from genscope.errors import UnsupportedInput
from genscope.networks.determinism import loader_findings, module_findings, output_findings, require_deterministic
from genscope.networks.functional import wrap_module


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Augmented(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.rand(2), 0


def test_dropout_and_batch_norm_in_training_mode_are_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.3)).train()
    assert [finding.module for finding in module_findings(model)] == ["1", "2"]
    assert "dropout (0.3)" in module_findings(model)[1].sentence
    assert module_findings(model.eval()) == ()
    assert module_findings(nn.Dropout(0.0).train()) == ()


def test_batch_statistics_without_running_ones_are_refused_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(UnsupportedInput, match=r"1: batch normalization keeps no running statistics"):
        require_deterministic(model, torch.randn(4, 2))


def test_a_forward_that_draws_noise_is_named_and_the_random_state_is_kept():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Noisy()), nn.ReLU())
    state = torch.get_rng_state()
    findings = output_findings(wrap_module(model), torch.ones(2, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert findings[0].module == "1.0"
    assert sum(len(module._forward_hooks) for module in model.modules()) == 0


def test_dependence_on_the_rest_of_the_batch_is_found():
    class Centred(nn.Module):
        def forward(self, x):
            return x - x.mean(0)

    findings = output_findings(wrap_module(nn.Sequential(Centred())), torch.randn(6, 2))
    assert "rest of its batch" in findings[0].sentence
    assert output_findings(wrap_module(nn.Linear(2, 2)), torch.randn(6, 2)) == ()


def test_buffers_written_in_evaluation_mode_and_infinite_logits_are_said():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("n", torch.zeros(()))

        def forward(self, x):
            self.n += 1
            return x

    assert "buffer" in output_findings(wrap_module(nn.Sequential(Counter())), torch.ones(1, 2))[0].sentence
    assert "not finite" in output_findings(wrap_module(nn.Linear(2, 2)), torch.full((1, 2), torch.nan))[0].sentence


def test_loaders_that_see_other_examples_on_each_pass_are_found():
    data = TensorDataset(torch.zeros(5, 1))
    assert "drops the last 1 of 5" in loader_findings(DataLoader(data, batch_size=2, shuffle=True, drop_last=True))[0].sentence
    assert loader_findings(DataLoader(data, batch_size=2, shuffle=True)) == ()
    assert loader_findings(DataLoader(data, batch_size=5, shuffle=True, drop_last=True)) == ()
    assert loader_findings(DataLoader(data, batch_size=2, drop_last=True)) == ()
    assert "augmentation" in loader_findings(DataLoader(Augmented()))[0].sentence
    assert loader_findings([1, 2]) == ()


def test_a_plain_model_in_training_mode_is_measured_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    network = require_deterministic(model, torch.randn(4, 2), DataLoader(TensorDataset(torch.zeros(3, 2))))
    x = torch.randn(2, 2)
    assert torch.equal(network(x), network(x))
    assert model.training
