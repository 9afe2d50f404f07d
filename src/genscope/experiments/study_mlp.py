"""The built-in training of studies: fully connected networks that differ in width, depth, rate, batch size, label noise, decay and seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.experiments.context import Context
from genscope.experiments.trained import Trained
from genscope.training.batches import batches_of
from genscope.training.datasets.labelled import Labelled
from genscope.training.loop import initialize
from genscope.training.models import mlp
from genscope.training.optimizers import SGD, Adam
from genscope.training.stack import Stack, stack_from_seeds
from genscope.training.stacked import StackedRecipe, fit_stack
from genscope.training.zoo import corrupt

OPTIMIZERS = {"adam": Adam, "sgd": SGD}


@dataclass(frozen=True)
class MlpSettings:
    """What a study with ``train="mlp"`` may vary or fix.

    Args:
        width: hidden units per layer.
        depth: hidden layers.
        learning_rate, weight_decay, batch_size: of the optimizer.
        label_noise: share of training labels replaced by uniformly random ones.
        epochs: passes over the data at most.
        stop_at_loss: a network ends when an epoch's mean training loss falls below this.
        optimizer: ``adam`` or ``sgd`` (momentum 0.9).
        data: ``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``cifar100`` or ``svhn``.
        n_train: only the first so many training examples; 0 for all.
        seed: of initial weights, order and noise.
    """

    width: int = 64
    depth: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 64
    label_noise: float = 0.0
    epochs: int = 100
    stop_at_loss: float = 0.01
    optimizer: str = "adam"
    data: str = "digits"
    n_train: int = 0
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "MlpSettings":
        """Settings by name.

        Raises:
            UsageError: a name or a value that this training does not know.
        """
        unknown = sorted(set(settings) - set(cls.__dataclass_fields__))
        if unknown:
            raise UsageError(f"The built-in training has no setting {unknown[0]!r}; it has {', '.join(cls.__dataclass_fields__)}.")
        found = cls(**settings)
        if found.optimizer not in OPTIMIZERS:
            raise UsageError(f"There is no optimizer {found.optimizer!r}; use one of {', '.join(OPTIMIZERS)}.")
        return found

    @property
    def stack_key(self) -> tuple[Any, ...]:
        """Networks that agree in this are trained as one stack."""
        return self.width, self.depth, self.batch_size, self.epochs, self.stop_at_loss, self.optimizer, self.data, self.n_train


def trained_mlps(every: Sequence[MlpSettings], context: Context) -> list[Trained]:
    """The trained networks, those of one shape and batch size trained together; each is trained once per store."""

    def train(missing: Sequence[int]) -> list[dict[str, Tensor]]:
        stacks: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for place in missing:
            stacks[every[place].stack_key].append(place)
        found: dict[int, dict[str, Tensor]] = {}
        for places in stacks.values():
            found |= zip(places, _train_stack([every[place] for place in places], context), strict=True)
        return [found[place] for place in missing]

    tensors = context.trained_many([{"training": "mlp", "version": 1, **asdict(one)} for one in every], train)
    return [_trained(one, saved, context) for one, saved in zip(every, tensors, strict=True)]


def _train_stack(members: Sequence[MlpSettings], context: Context) -> list[dict[str, Tensor]]:
    first = members[0]
    x, _, _ = _data(first, context)
    labels = torch.stack([_data(one, context)[1] for one in members])
    seeds = [one.seed for one in members]
    start = stack_from_seeds(lambda: _network(first, x, _n_classes(first, context)), seeds, device=context.device)
    recipe = StackedRecipe(
        epochs=first.epochs,
        optimizer=OPTIMIZERS[first.optimizer](),
        learning_rate=[one.learning_rate for one in members],
        weight_decay=[one.weight_decay for one in members],
        stop_at_loss=first.stop_at_loss,
    )
    batches = batches_of(x.to(context.device), labels.to(context.device), first.batch_size, seeds)
    run = fit_stack(start, batches, recipe)
    return [{**_named(run.stack, "final", k), **_named(start, "initial", k), "epochs": run.epochs[k].clone()} for k in range(len(members))]


def _named(stack: Stack, prefix: str, index: int) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor.cpu() for name, tensor in stack.state_dict(index).items()}


def _trained(settings: MlpSettings, saved: Mapping[str, Tensor], context: Context) -> Trained:
    x, labels, test = _data(settings, context)
    model = _network(settings, x, _n_classes(settings, context))
    parts = {
        prefix: {name.removeprefix(f"{prefix}."): tensor for name, tensor in saved.items() if name.startswith(f"{prefix}.")}
        for prefix in ("final", "initial")
    }
    model.load_state_dict(parts["final"])
    n_params = sum(parameter.numel() for parameter in model.parameters())
    return Trained(model.eval(), (x, labels), test, parts["initial"], {"n_params": n_params, "epochs": int(saved["epochs"])})


def _network(settings: MlpSettings, x: Tensor, n_classes: int) -> nn.Module:
    return initialize(mlp((x[0].numel(), *[settings.width] * settings.depth, n_classes)), torch.Generator().manual_seed(settings.seed))


def _n_classes(settings: MlpSettings, context: Context) -> int:
    return int(context.dataset(settings.data).train.y.max()) + 1


def _data(settings: MlpSettings, context: Context) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
    """Training inputs, their noisy labels, and the test part with true labels."""
    split = context.dataset(settings.data)
    kept = slice(settings.n_train or None)
    x, y = _tensors(split.train, kept)
    if settings.label_noise:
        rng = generator_for(settings.seed, "label noise", settings.data, str(settings.label_noise))
        y = corrupt(y, settings.label_noise, rng, _n_classes(settings, context))
    return x, y, None if split.test is None else _tensors(split.test, slice(None))


def _tensors(part: Labelled, kept: slice) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(part.x[kept]).flatten(1), torch.from_numpy(part.y[kept])
