"""The three stacks of weights that the comparison runs on: heavy-tailed (Student t, 3 degrees of freedom), seeded, float32."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

RESNET50 = [(64, 3, 7)]
for planes, blocks, first in ((64, 3, 64), (128, 4, 256), (256, 6, 512), (512, 3, 1024)):
    for block in range(blocks):
        inside = first if block == 0 else planes * 4
        RESNET50 += [(planes, inside, 1), (planes, planes, 3), (planes * 4, planes, 1)]
        RESNET50 += [(planes * 4, inside, 1)] if block == 0 else []
VGG16 = [(64, 3, 3), (64, 64, 3), (128, 64, 3), (128, 128, 3), (256, 128, 3), (256, 256, 3), (256, 256, 3), (512, 256, 3)] + [(512, 512, 3)] * 5


def shapes(model: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    if model == "gpt2":
        for block in range(12):
            for name, shape in (("attn.qkv", (2304, 768)), ("attn.proj", (768, 768)), ("mlp.up", (3072, 768)), ("mlp.down", (768, 3072))):
                # a plain name for the fused projection, so that both tools see one matrix
                yield f"h{block}.{name.replace('qkv', 'weights_in')}.weight", shape
    elif model == "resnet50":
        for index, (out, inside, kernel) in enumerate(RESNET50):
            yield f"conv{index}.weight", (out, inside, kernel, kernel)
        yield "fc.weight", (1000, 2048)
    elif model == "vgg16":
        for index, (out, inside, kernel) in enumerate(VGG16):
            yield f"features{index}.weight", (out, inside, kernel, kernel)
        for index, shape in enumerate(((4096, 25088), (4096, 4096), (1000, 4096))):
            yield f"classifier{index}.weight", shape
    else:
        raise SystemExit(f"no model {model!r}; use gpt2, resnet50 or vgg16")


def write(model: str, folder: Path) -> Path:
    """One safetensors file per model, made once."""
    from safetensors.numpy import save_file

    path = folder / f"{model}.safetensors"
    if not path.exists():
        rng = np.random.default_rng(0)
        tensors = {name: (rng.standard_t(3, size=shape) * 0.02).astype(np.float32) for name, shape in shapes(model)}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
    return path
