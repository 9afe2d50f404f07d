"""Ways to get the outputs of many parameter points; all give the same numbers, and which is fastest depends on the network and the machine."""

import os
import shutil
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genscope.landscape.batch_norm import CALIBRATION, Call, calibrated, private_calls
from genscope.landscape.batches import HeldData
from genscope.landscape.chains import Chain
from genscope.landscape.points import Params, point_of, points_along
from genscope.networks.functional import Network


class Backend(Protocol):
    """One way: ``logits`` of stacked points, ``[points, examples, classes]``."""

    name: str

    def logits(self, points: Params) -> Tensor:
        """Outputs at stacked parameters ``[points, ...]``."""

    def logits_along(self, origin: Params, directions: Sequence[Params], coordinates: np.ndarray) -> Tensor:
        """Outputs at ``w + Σ c_k d_k``."""


class _Stacking:
    """What does not know about lines through parameter space makes the points and evaluates them."""

    name = ""

    def logits(self, points: Params) -> Tensor:
        raise NotImplementedError

    def logits_along(self, origin: Params, directions: Sequence[Params], coordinates: np.ndarray) -> Tensor:
        return self.logits(points_along(origin, directions, coordinates))


class Loop(_Stacking):
    """One point after the other, the data in micro-batches: the fastest way for convolutions on a CPU, and the reference for all others."""

    name = "loop"

    def __init__(self, network: Network, data: HeldData, policy: str) -> None:
        self.network, self.data, self.policy = network, data, policy
        self._own = threading.local()

    def logits(self, points: Params) -> Tensor:
        """Outputs point by point."""
        n = len(next(iter(points.values()))) if points else 0
        return torch.stack([self._one(point_of(points, index)) for index in range(n)])

    def _calls(self) -> tuple[Call, Call]:
        if not hasattr(self._own, "calls"):
            self._own.calls = private_calls(self.network)
        return self._own.calls

    def _one(self, point: Params) -> Tensor:
        stored, with_batch = self._calls()
        buffers: Mapping[str, Tensor] = self.network.buffers
        if self.policy == "recalibrate":
            whole = self.data.micro_batches(CALIBRATION)
            if len(whole) == 1:  # the calibration pass sees every example, so it is the evaluation too
                return with_batch(point, {name: tensor.clone() for name, tensor in buffers.items()}, whole[0])
            buffers = calibrated(with_batch, point, buffers, self.data.first(CALIBRATION))
        if self.policy == "batch":
            return torch.cat([with_batch(point, {k: v.clone() for k, v in buffers.items()}, x) for x in self.data.micro_batches()])
        return torch.cat([stored(point, buffers, x) for x in self.data.micro_batches()])


class Compiled(Loop):
    """The loop with the network compiled by inductor; needs a C++ compiler and a few seconds once."""

    name = "compiled"

    def __init__(self, network: Network, data: HeldData, policy: str) -> None:
        super().__init__(network, data, policy)
        self._compiled: dict[Any, Callable[..., Tensor]] = {}
        self._lock = threading.Lock()

    @staticmethod
    def possible(device: torch.device) -> bool:
        """Whether there is something to compile with."""
        return device.type == "cuda" or any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++") if name)

    def _calls(self) -> tuple[Call, Call]:
        if not hasattr(self._own, "calls"):
            plain = private_calls(self.network)
            self._own.calls = (self._fast(plain[0], "stored"), self._fast(plain[1], "batch"))
        return self._own.calls

    def _fast(self, call: Call, kind: str) -> Call:
        def run(params: Params, buffers: Mapping[str, Tensor], x: Any) -> Tensor:
            if not isinstance(x, Tensor) or len(x) != self._usual(kind):
                return call(params, buffers, x)  # the odd last batch is not worth a compilation
            if kind not in self._compiled:
                with self._lock:
                    if kind not in self._compiled:
                        self._compiled[kind] = _compile(call, params, buffers, x)
            return self._compiled[kind](dict(params), dict(buffers), x)

        return run

    def _usual(self, kind: str) -> int:
        size = CALIBRATION if kind == "batch" and self.policy == "recalibrate" else self.data.micro_batch
        return min(size, self.data.n_examples)


class Vectorized(_Stacking):
    """All points of a chunk in one ``torch.func.vmap``: pays where calls are small, as on a GPU."""

    name = "vmap"

    def __init__(self, network: Network, data: HeldData, policy: str) -> None:
        self.network, self.data, self.policy = network, data, policy
        self._stored, self._with_batch = private_calls(network)
        self._lock = threading.Lock()  # the modules behind the calls hold one set of parameters at a time

    def logits(self, points: Params) -> Tensor:
        """Outputs of all points together."""
        n = len(next(iter(points.values())))
        buffers = {name: tensor.unsqueeze(0).repeat(n, *[1] * tensor.ndim) for name, tensor in self.network.buffers.items()}
        with self._lock:
            if self.policy == "recalibrate":
                whole = self.data.micro_batches(CALIBRATION)
                if len(whole) == 1:
                    return self._mapped(self._with_batch, points, buffers, whole[0])
                self._mapped(self._with_batch, points, buffers, self.data.first(CALIBRATION))  # writes the statistics into the stacked buffers
            call = self._with_batch if self.policy == "batch" else self._stored
            return torch.cat([self._mapped(call, points, buffers, x) for x in self.data.micro_batches()], dim=1)

    def _mapped(self, call: Call, points: Params, buffers: Mapping[str, Tensor], x: Any) -> Tensor:
        return torch.func.vmap(call, in_dims=(0, 0, None))(dict(points), dict(buffers), x)


class Products:
    """A multilayer perceptron as batched matrix products; along lines and planes its first layer costs almost nothing."""

    name = "products"

    def __init__(self, chain: Chain, data: HeldData) -> None:
        self.chain, self.data = chain, data
        self._images: tuple[Any, list[Tensor]] | None = None

    def logits(self, points: Params) -> Tensor:
        """Outputs of all points together."""
        return torch.cat([self.chain.logits(points, x) for x in self.data.micro_batches()], dim=1)

    def logits_along(self, origin: Params, directions: Sequence[Params], coordinates: np.ndarray) -> Tensor:
        """As :meth:`logits`, with the first layer's images of w and of each direction taken once."""
        later = [name for name in origin if name in self.chain.names - self._first]
        points = points_along({name: origin[name] for name in later}, directions, coordinates)
        images = self._first_images(origin, directions)
        return torch.cat([self.chain.logits_along(image, coordinates, points) for image in images], dim=1)

    @property
    def _first(self) -> set[str]:
        step = self.chain.steps[0]
        return {name for name in (step.weight, step.bias) if name is not None}

    def _first_images(self, origin: Params, directions: Sequence[Params]) -> list[Tensor]:
        names = sorted(self._first)
        key = tuple(point.get(name) for point in (origin, *directions) for name in names)
        held = self._images
        if held is None or len(held[0]) != len(key) or any(a is not b for a, b in zip(held[0], key, strict=True)):
            held = (key, [self.chain.first_images(origin, directions, x) for x in self.data.micro_batches()])
            self._images = held
        return held[1]


def _compile(call: Call, params: Params, buffers: Mapping[str, Tensor], x: Tensor) -> Callable[..., Tensor]:
    """A pure function of its tensors: traced first, so that two threads can run it at once."""
    from torch.fx.experimental.proxy_tensor import make_fx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = make_fx(call)(dict(params), {name: tensor.clone() for name, tensor in buffers.items()}, x)
        function = torch.compile(traced, dynamic=False)
        function(dict(params), {name: tensor.clone() for name, tensor in buffers.items()}, x)  # compiles here, under the caller's lock
    return function
