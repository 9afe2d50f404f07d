"""Huang et al., Figure 2 at full size: ResNet-20, VGG-13 and the linear model of 298,368 features on CIFAR-10."""

from typing import TYPE_CHECKING, Any

from genscope.experiments.values import Cell, Outcome

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from genscope.experiments.context import Context

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
RESNET: dict[str, Any] = {"data": "cifar10", "model": "network", "architecture": "resnet20", "optimizer": "SGD", "options": SGD, "epochs": 200,
                          "batch_size": 128, "drops": [[0.5, 0.1], [0.75, 0.01]], "augment": True}  # fmt: skip
LINEAR_MODEL: dict[str, Any] = {"data": "cifar10", "model": "linear", "architecture": "quadratic", "optimizer": "SGD", "options": SGD, "epochs": 300,
                                "batch_size": 128, "drops": [[0.5, 0.1], [0.75, 0.01]], "augment": False}  # fmt: skip
VGG13: dict[str, Any] = {"data": "cifar10", "model": "network", "architecture": "vgg13", "epochs": 150, "batch_size": 128,
                         "drops": [[50, 0.1], [100, 0.01]], "augment": True}  # fmt: skip
VGG13_LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")


def run_cifar(cell: Cell, context: "Context") -> Outcome:
    """One model, trained and tested; training accuracy without augmentation."""
    import torch

    s = cell.settings
    split = context.dataset("cifar10")
    assert split.test is not None
    train = torch.from_numpy(split.train.x), torch.from_numpy(split.train.y)
    test = torch.from_numpy(split.test.x), torch.from_numpy(split.test.y)
    model = build(s["architecture"])
    model.load_state_dict(context.trained({"recipe": "huang cifar", **s}, lambda: trained(model, train, s, context.device).state_dict()))
    model.to(context.device).eval()
    right = [_accuracy(model, part, context.device) for part in (train, test)]
    n = sum(parameter.numel() for parameter in model.parameters())
    return Outcome({"train_accuracy": right[0], "test_accuracy": right[1], "n_parameters": n})


def build(architecture: str) -> "nn.Module":
    """``resnet20``, ``vgg13``, or ``quadratic``: 3,072 pixels and the 295,296 products of the pixels of the 16×16 image, into 10 classes."""
    from torch import nn

    from genscope.training.models import cifar_resnet

    if architecture == "resnet20":
        return cifar_resnet(20)
    if architecture == "quadratic":
        return nn.Sequential(quadratic_features(), nn.Linear(298_368, 10))
    layers: list[nn.Module] = []
    channels = 3
    for width in VGG13_LAYERS:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, 10))


def quadratic_features() -> "nn.Module":
    """A layer without parameters: the pixels, and all products of two pixels of the image at half its resolution.

    Example:
        >>> import torch
        >>> tuple(quadratic_features()(torch.zeros(2, 3, 32, 32)).shape)
        (2, 298368)
    """
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Quadratic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Features of images in [0, 1], centred at 0.5."""
            x = x - 0.5
            small = F.avg_pool2d(x, 2).flatten(1)
            rows, columns = torch.triu_indices(small.shape[1], small.shape[1], device=x.device)
            return torch.cat([x.flatten(1), small[:, rows] * small[:, columns]], dim=1)

    return Quadratic()


def trained(model: "nn.Module", train: "tuple[Tensor, Tensor]", s: Any, device: str) -> "nn.Module":
    """Cross-entropy on shuffled batches; LBFGS takes its inner iterations on each batch."""
    import torch

    from genscope.experiments.papers.huang_linear import optimizer_of
    from genscope.experiments.papers.huang_networks import rate_factor
    from genscope.training.loop import initialize, shuffled_batches
    from genscope.training.losses import cross_entropies

    generator = torch.Generator().manual_seed(int(s["seed"]))
    initialize(model, generator).to(device).train()
    optimizer = optimizer_of(s["optimizer"], s["options"], model)
    base = optimizer.param_groups[0]["lr"]
    for epoch in range(1, s["epochs"] + 1):
        optimizer.param_groups[0]["lr"] = base * rate_factor(s, epoch)
        for picks in shuffled_batches(len(train[1]), s["batch_size"], generator):
            x, y = train[0][picks], train[1][picks].to(device)
            x = (shifted(x, generator) if s["augment"] else x).to(device)

            def closure(x: "torch.Tensor" = x, y: "torch.Tensor" = y) -> "torch.Tensor":
                optimizer.zero_grad(set_to_none=True)
                loss = cross_entropies(model(x), y).mean()
                loss.backward()
                return loss

            optimizer.step(closure)
    return model


def shifted(x: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Each image shifted by up to 4 pixels (zeros outside) and mirrored with chance 1/2."""
    import torch
    from torch.nn import functional as F

    side = x.shape[-1]
    padded = F.pad(x, (4, 4, 4, 4))
    down, across = torch.randint(9, (2, len(x)), generator=generator).tolist()
    moved = torch.stack([image[:, i : i + side, j : j + side] for image, i, j in zip(padded, down, across, strict=True)])
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    moved[mirrored] = moved[mirrored].flip(-1)
    return moved


def _accuracy(model: "nn.Module", part: "tuple[Tensor, Tensor]", device: str) -> float:
    import torch

    with torch.no_grad():
        found = [model(x.to(device)).argmax(1).cpu() for x in part[0].split(256)]
    return float((torch.cat(found) == part[1]).double().mean())
