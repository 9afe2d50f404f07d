"""The null control of Liao et al.'s Figure 2d: one of the authors' ResNet-56 networks under unrelated output norms."""

import numpy as np
import torch

from genscope.checkpoints.open import open_checkpoint
from genscope.experiments.context import Context
from genscope.experiments.papers.liao_data import Examples, load_examples
from genscope.experiments.papers.liao_training import logits_of
from genscope.experiments.values import Cell, Outcome
from genscope.measures.first_order_law import null_control
from genscope.training.models import resnet56


def noise_images(n: int, generator: torch.Generator) -> Examples:
    """Images of Gaussian noise with labels 0, 1, 2 …: enough to run the code where no images are."""
    train, test = (torch.randn((n, 3, 32, 32), generator=generator) for _ in range(2))
    labels = torch.arange(n) % 10
    return Examples(train, labels, test, labels, 10)


@torch.no_grad()
def null_of_checkpoint(cell: Cell, context: Context, folder: str) -> Outcome:
    """Logits of one of the authors' networks, divided by unrelated output norms from the range that its batch has."""
    if cell.settings["data"] == "noise":
        data = noise_images(int(cell.settings["n_train"]), context.generator("resnet null images"))
    else:
        data = load_examples(context.dataset(cell.settings["data"]), cell.settings).to(context.device)
    checkpoint = open_checkpoint(context.folder(folder) / cell.settings["checkpoint"])
    try:
        state = {spec.name: torch.from_numpy(np.array(checkpoint.read(spec.name))) for spec in checkpoint.specs}
    finally:
        checkpoint.close()
    model = resnet56("B")
    model.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()}, strict=False)
    model = model.to(context.device)
    train, test = (logits_of(model, x, 100).double().cpu().numpy() for x in (data.train_x, data.test_x))
    labels = (data.train_y.cpu().numpy(), data.test_y.cpu().numpy())
    norm = float(np.linalg.norm(train[0]))
    # the output norm on one image varies by about a factor of two between networks
    null = null_control(train, labels[0], test, labels[1], rng=context.rng("resnet null"), n_networks=16, scales=(0.7 * norm, 1.4 * norm))
    errors = {part: float(np.mean(found.argmax(1) != y)) for part, found, y in (("train", train, labels[0]), ("test", test, labels[1]))}
    numbers = {"train_error": errors["train"], "test_error": errors["test"], "norm": norm, "n_repeats": len(null.slope)}
    return Outcome(numbers, {"slope": null.slope, "r2": null.r_squared, "spearman": null.spearman})
