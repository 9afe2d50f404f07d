import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genscope.errors import UnsupportedInput
from genscope.networks.functional import logits_of, wrap_module
from genscope.training import models


def fingerprint(model: nn.Module) -> tuple:
    """Everything of a module that measuring it must not change."""
    tensors = {k: v.clone() for k, v in model.state_dict().items()}
    grads = {k: None if p.grad is None else p.grad.clone() for k, p in model.named_parameters()}
    flags = {k: p.requires_grad for k, p in model.named_parameters()}
    modes = {k: m.training for k, m in model.named_modules()}
    hooks = {k: (len(m._forward_hooks), len(m._forward_pre_hooks)) for k, m in model.named_modules()}
    pointers = {k: p.data_ptr() for k, p in model.named_parameters()}
    return tensors, grads, flags, modes, hooks, pointers, torch.get_rng_state()


def same(one: tuple, two: tuple) -> bool:
    def equal(a, b):
        return a is b or (torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b)

    return all(
        (equal(a, b) if not isinstance(a, dict) else a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a))
        for a, b in zip(one, two, strict=True)
    )


def test_forward_is_the_modules_evaluation_forward():
    model = models.resnet20()
    x = torch.randn(3, 3, 32, 32)
    network = wrap_module(model)
    with torch.no_grad():
        assert torch.equal(network(x), copy.deepcopy(model).eval()(x))
        assert not torch.equal(network(x), copy.deepcopy(model).train()(x))


def test_the_users_model_stays_as_it_is_to_the_last_bit():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2))
    model[0].weight.requires_grad_(False)
    model(torch.randn(6, 4)).sum().backward()
    model[1].eval()
    model[3].register_forward_hook(lambda *_: None)
    before = fingerprint(model)
    network = wrap_module(model)
    out = torch.func.grad(lambda p: network.forward(p, torch.randn(3, 4, generator=torch.Generator().manual_seed(0))).sum())(network.params)
    network.to(torch.float64)(torch.zeros(2, 4, dtype=torch.float64))
    assert set(out) == set(dict(model.named_parameters()))
    assert same(before, fingerprint(model))
    model[0].weight.data[0, 0] += 1
    assert not same(before, fingerprint(model))


def test_a_module_that_cannot_be_copied_is_put_back_after_each_call():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)).train()
    model.stream = (i for i in range(3))
    before = fingerprint(model)
    network = wrap_module(model)
    x = torch.ones(1, 2)
    assert torch.equal(network(x), network(x))
    assert same(before, fingerprint(model))


def test_buffers_that_a_module_writes_in_evaluation_mode_are_private():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("n", torch.zeros(()))

        def forward(self, x):
            self.n += 1
            return x

    model = Counter()
    wrap_module(model)(torch.ones(1, 1))
    assert model.n.item() == 0


def test_tied_parameters_count_once_and_move_together(zoo):
    tied, free = wrap_module(zoo.Attention()), wrap_module(zoo.Attention(tied=False))
    assert free.n_params - tied.n_params == 88
    assert tied.aliases == {"embedding.weight": ("head.weight",)}
    x = torch.randint(0, 11, (2, 5))
    doubled = tied.with_params({**tied.params, "embedding.weight": tied.params["embedding.weight"] * 0})
    assert torch.equal(doubled(x), torch.zeros(2, 11))


def test_inputs_by_position_and_by_keyword_and_objects_with_logits(zoo):
    network = wrap_module(zoo.Attention())
    ids, mask = torch.randint(0, 11, (2, 5)), torch.ones(2, 5)
    by_name = network({"input_ids": ids, "attention_mask": mask})
    assert torch.equal(by_name, network((ids, mask)))
    assert torch.equal(by_name, network(ids))
    value = torch.ones(1)
    for output in (value, {"logits": value}, (value, None), SimpleNamespace(logits=value), {"out": value}):
        assert logits_of(output) is value


def test_wrappers_are_opened_and_said():
    inner = nn.Linear(2, 1)
    network = wrap_module(nn.DataParallel(inner).eval())
    assert set(network.params) == {"weight", "bias"}
    assert "DataParallel" in network.notes[0]
    assert any("training mode" in note for note in wrap_module(nn.Linear(1, 1)).notes)


def test_precision_changes_only_the_copy():
    model = models.mlp((3, 4, 2)).half()
    network = wrap_module(model).to(torch.float64)
    assert network.dtype == torch.float64
    assert model.l1.weight.dtype == torch.float16
    assert network(torch.ones(1, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda x: x, "torch.nn.Module"),
        (nn.LazyLinear(2), "lazy"),
        (nn.Linear(2, 2, device="meta"), "meta device"),
    ],
)
def test_models_without_values_are_refused_in_a_sentence(model, words):
    with pytest.raises(UnsupportedInput, match=words):
        wrap_module(model)


def test_outputs_without_logits_are_refused():
    with pytest.raises(UnsupportedInput, match="no logits"):
        logits_of({"hidden": 3})


def test_no_function_of_the_floor_changes_the_model(zoo):
    from genscope.networks.determinism import require_deterministic
    from genscope.networks.fold_batch_norm import fold_batch_norm
    from genscope.networks.homogeneity import euler_errors, homogeneity, homogeneity_error
    from genscope.networks.layer_operators import layer_operators
    from genscope.networks.lipschitz import jacobian_norms, log_lipschitz_bound
    from genscope.networks.normalize import normalize_by_output, normalize_layers
    from genscope.networks.path_norm import log_path_norm
    from genscope.networks.trace import trace

    model = zoo.shake(models.small_conv((3, 4), image_size=12, batch_norm=True)).train()
    model(torch.randn(4, 3, 12, 12)).sum().backward()
    model.fc.weight.requires_grad_(False)
    x = torch.randn(4, 3, 12, 12)
    kept = x.clone()
    before = fingerprint(model)
    network = require_deterministic(model, x)
    graph = trace(model, x)
    fold_batch_norm(graph, x)
    homogeneity(graph), homogeneity_error(network, x, 3), euler_errors(network, x)
    normalize_layers(graph), normalize_by_output(network, x)
    log_path_norm(graph), layer_operators(graph), log_lipschitz_bound(graph), jacobian_norms(network, x)
    assert same(before, fingerprint(model))
    assert torch.equal(x, kept)
