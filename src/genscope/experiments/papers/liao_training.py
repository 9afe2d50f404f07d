"""How Liao et al. train: SGD with momentum at a constant rate, and the snapshot whose training loss is closest to a reference."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.experiments.papers.liao_protocols import Schedule
from genscope.training.loop import shuffled_batches


def train_epochs(model: nn.Module, x: Tensor, y: Tensor, schedule: Schedule, generator: torch.Generator) -> Iterator[tuple[int, float]]:
    """Train in place and yield (epoch, mean loss met during the epoch) after each one."""
    optimizer = torch.optim.SGD(model.parameters(), lr=schedule.learning_rate, momentum=schedule.momentum)
    for epoch in range(1, schedule.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * 0.1 ** sum(epoch > drop for drop in schedule.drops)
        model.train()
        total = torch.zeros((), device=x.device)
        for picks in shuffled_batches(len(x), schedule.batch_size, generator):
            chosen = picks.to(x.device)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(picks)
        yield epoch, float(total) / len(x)
        if not float(total) / len(x) >= schedule.stop_at_loss:
            return


@torch.no_grad()
def initialize_normal(model: nn.Module, std: float | None, generator: torch.Generator) -> nn.Module:
    """Normal weights of standard deviation ``std`` (He's when ``None``), zero biases; normalization layers start as the identity."""
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            scale = (2.0 / parameter[0].numel()) ** 0.5 if std is None else std
            parameter.copy_((torch.randn(parameter.shape, generator=generator) * scale).to(parameter.device))
    for module in model.modules():
        bias = getattr(module, "bias", None)
        if isinstance(module, nn.Linear | nn.Conv2d) and isinstance(bias, Tensor):
            bias.zero_()
    return model


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor, block: int = 2000) -> Tensor:
    """Logits [n, classes] in evaluation mode, a block at a time."""
    model.eval()
    return torch.cat([model(part) for part in x.split(block)])


class ClosestSnapshot:
    """Keeps the weights whose training loss (of the network as it stands, not of the epoch) came closest to a reference, in logarithms."""

    def __init__(self, reference: float) -> None:
        self.reference = reference
        self.distance = float("inf")
        self.loss: float | None = None
        self.weights: dict[str, Tensor] | None = None

    def offer(self, model: nn.Module, x: Tensor, y: Tensor, met: float) -> None:
        """Look at the network after an epoch whose mean loss was ``met``; far from the reference nothing is computed."""
        if not self.reference / 5 < met < self.reference * 5:
            return
        loss = float(F.cross_entropy(logits_of(model, x).double(), y))
        distance = abs(torch.log(torch.tensor(max(loss, 1e-300) / self.reference)).item())
        if distance < self.distance:
            self.distance, self.loss = distance, loss
            self.weights = copy.deepcopy(model.state_dict())
