"""How closely a training run is watched."""

from dataclasses import asdict, dataclass
from typing import Any

from genscope.errors import UsageError
from genscope.measures.ingredients.losses import check_loss

NORMALIZATIONS = ("auto", "layers", "output")


@dataclass(frozen=True)
class WatchOptions:
    """What a :class:`~genscope.training.monitor.Monitor` measures, and how often.

    Args:
        every: optimizer steps between two measurements of loss, margins, norms and alignment.
        layers_every: optimizer steps between two looks at the layers' spectra (alpha, spectral norm, stable rank); 0 for never.
        budget: share of the training time that the monitor may take; it measures less often where that would be exceeded. ``None``
            measures exactly as asked, so that the steps of the records do not depend on the machine's speed.
        loss: ``cross_entropy``, ``logistic``, ``exponential`` or ``squared``: which loss the normalized one is.
        normalization: ``layers`` divides the logits by the product of the layers' norms, ``output`` by the output norm on one example,
            ``auto`` takes the first where it is exact and the second elsewhere.
        max_examples: examples of a batch that margins and normalized losses are computed from, the first ones.
        measures: names of the catalogue (see ``genscope explain``), computed at the end of each epoch from ``data``.
        sharpness: also the adaptive sharpness at the end of each epoch, from ``data``.
    """

    every: int = 10
    layers_every: int = 100
    budget: float | None = 0.03
    loss: str = "cross_entropy"
    normalization: str = "auto"
    max_examples: int = 512
    measures: tuple[str, ...] = ()
    sharpness: bool = False

    def __post_init__(self) -> None:
        check_loss(self.loss)
        for name, least in (("every", 1), ("layers_every", 0), ("max_examples", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(f"watch: {name} is a whole number of at least {least}, not {value!r}.")
        if self.budget is not None and not 0.0 < self.budget <= 1.0:
            raise UsageError(f"watch: budget is a share of the training time between 0 and 1, or None, not {self.budget!r}.")
        if self.normalization not in NORMALIZATIONS:
            raise UsageError(f"watch: there is no normalization {self.normalization!r}; use one of {', '.join(NORMALIZATIONS)}.")
        if isinstance(self.measures, str):
            raise UsageError("watch: measures is a list of names, not one text.")
        object.__setattr__(self, "measures", tuple(self.measures))

    @property
    def asked(self) -> tuple[str, ...]:
        """The catalogue's measures that are computed at the end of an epoch."""
        return (*self.measures, *(("adaptive_sharpness",) if self.sharpness and "adaptive_sharpness" not in self.measures else ()))

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        return {**asdict(self), "measures": list(self.measures)}
