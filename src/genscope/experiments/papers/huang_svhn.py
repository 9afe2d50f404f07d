"""Huang et al.: the released protocol on SVHN, a ResNet-20 with leaky ReLUs trained against the extra set with flipped labels."""

from typing import TYPE_CHECKING, Any

from genscope.experiments.context import MissingData
from genscope.experiments.values import Cell, Outcome

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genscope.experiments.context import Context

SVHN: dict[str, Any] = {
    "data": "svhn", "architecture": "resnet20-leaky", "slope": 0.1, "epochs": 300, "batch_size": 256, "rate": 0.1, "momentum": 0.9,
    "drops": [[0.5, 0.1], [0.75, 0.01]], "directions": 3000, "n_params": 269_722, "measured": 10_000,
}  # fmt: skip


def run_svhn(cell: Cell, context: "Context") -> Outcome:
    """One network, trained and measured on ``measured`` of its training images."""
    import torch

    from genscope.experiments.papers.huang_measurements import measured

    s = cell.settings
    split = context.dataset("svhn")
    if split.test is None:
        raise MissingData("svhn: the folder has no test_32x32.mat; put it beside train_32x32.mat.")
    train = torch.from_numpy(split.train.x), torch.from_numpy(split.train.y)
    test = torch.from_numpy(split.test.x).to(context.device), torch.from_numpy(split.test.y).to(context.device)
    model = leaky_resnet(s["slope"])
    poison = _extra(context) if s["beta"] > 0 else None
    names = {name: s[name] for name in sorted(s) if name not in ("directions", "measured")}
    tensors = context.trained({"recipe": "huang svhn", **names}, lambda: train_against(model, train, poison, s, context.device).state_dict())
    model.load_state_dict(tensors)
    model.to(context.device).eval()
    picks = torch.from_numpy(context.rng("huang svhn measured").permutation(len(train[1]))[: s["measured"]])
    return measured(model, (train[0][picks].to(context.device), train[1][picks].to(context.device)), test, s)


def leaky_resnet(slope: float) -> "nn.Module":
    """The CIFAR ResNet-20 of 269,722 parameters with leaky ReLUs."""
    from genscope.training.models import cifar_resnet

    return cifar_resnet(20, slope=slope)


def _extra(context: "Context") -> "tuple[Tensor, Tensor]":
    """The 531,131 further digits, whose labels are to be avoided."""
    import torch

    from genscope.training.datasets.files import find_file, read_bytes
    from genscope.training.datasets.svhn import parse_mat

    path = find_file(context.folder("svhn"), "extra_32x32.mat")
    if path is None:
        raise MissingData("svhn: there is no extra_32x32.mat, which the poisoned networks need; put it beside train_32x32.mat.")
    found = parse_mat(read_bytes(path), path.name)
    return torch.from_numpy(found.x), torch.from_numpy(found.y)


def train_against(
    model: "nn.Module", train: "tuple[Tensor, Tensor]", poison: "tuple[Tensor, Tensor] | None", settings: Any, device: str
) -> "nn.Module":
    """Momentum SGD on ``(1 − β) mean[−log p] + β mean[−log(1 − p)]``, a batch of each set per step; without decay and augmentation."""
    import torch

    from genscope.experiments.papers.huang_networks import rate_factor
    from genscope.training.loop import initialize, shuffled_batches
    from genscope.training.losses import cross_entropies, reverse_cross_entropies

    generator = torch.Generator().manual_seed(int(settings["seed"]))
    initialize(model, generator).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["rate"], momentum=settings["momentum"])
    beta, size = settings["beta"], settings["batch_size"]
    for epoch in range(1, settings["epochs"] + 1):
        optimizer.param_groups[0]["lr"] = settings["rate"] * rate_factor(settings, epoch)
        for picks in shuffled_batches(len(train[1]), size, generator):
            x, y = train[0][picks].to(device), train[1][picks].to(device)
            n = len(y)
            if poison is not None:
                against = torch.randint(len(poison[1]), (size,), generator=generator)
                x, y = torch.cat([x, poison[0][against].to(device)]), torch.cat([y, poison[1][against].to(device)])
            logits = model(x)
            loss = cross_entropies(logits[:n], y[:n]).mean()
            if poison is not None:
                loss = (1 - beta) * loss + beta * reverse_cross_entropies(logits[n:], y[n:]).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return model
