"""PEFT adapters (LoRA): the update ``B·A·alpha/r`` alone, as its two factors, or merged into a base checkpoint."""

import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.paths import check_component, file_inside
from genscope.checkpoints.peft_config import AdapterConfig, read_config
from genscope.checkpoints.sniff import sniff_format
from genscope.checkpoints.table import TableCheckpoint, plain_errors
from genscope.core.tensors import Checkpoint, Skip, TensorSpec
from genscope.core.text import display_name
from genscope.errors import CorruptInput, UnsupportedInput, UsageError

CONFIG, WEIGHTS = "adapter_config.json", ("adapter_model.safetensors", "adapter_model.bin")
_READERS = {
    "safetensors": "genscope.checkpoints.safetensors",
    "torch_zip": "genscope.checkpoints.torch_file",
    "torch_legacy": "genscope.checkpoints.torch_legacy",
}
FORMS = ("product", "factors")
_FACTOR = re.compile(r"^(?P<module>.*?)\.?lora_(?P<table>embedding_)?(?P<factor>[AB])(?P<tail>(\.[^.]+)*)$")
_PREFIXES = ("base_model.model.", "base_model.", "")
_ROWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one module: the update is ``B·A·scale`` [out, in, *kernel], transposed for embeddings."""

    module: str
    a: TensorSpec
    b: TensorSpec
    scale: float | None
    is_embedding: bool

    @property
    def rank(self) -> int:
        """Rows of A."""
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the update, as the base stores the weight."""
        out, inputs = self.b.shape[0], self.a.shape[1:]
        return (inputs[0], out) if self.is_embedding else (out, *inputs)

    @property
    def facts(self) -> dict[str, Any]:
        """What a spec says of the pair."""
        return {"lora_rank": self.rank, "lora_factors": (self.a.name, self.b.name), **({} if self.scale is None else {"lora_scaling": self.scale})}


def find_pairs(specs: Sequence[TensorSpec], config: AdapterConfig) -> tuple[list[LoraPair], list[Skip]]:
    """Pair the factors by name; what has no partner, or one that does not fit, is skipped with the reason."""
    halves: dict[tuple[str, str, str], dict[str, TensorSpec]] = {}
    for spec in specs:
        match = _FACTOR.match(spec.name)
        if match:
            halves.setdefault((match["module"], match["table"] or "", match["tail"]), {})[match["factor"]] = spec
    pairs, skips = [], []
    for (module, table, _), found in halves.items():
        a, b = found.get("A"), found.get("B")
        if a is None or b is None:
            skips.append(Skip((a or b).name, "a LoRA factor without its partner"))  # type: ignore[union-attr]
            continue
        reason = _misfit(a.shape, b.shape)
        if reason:
            skips += [Skip(spec.name, reason) for spec in (a, b)]
            continue
        plain = next(module.removeprefix(prefix) for prefix in _PREFIXES if module.startswith(prefix))
        pairs.append(LoraPair(plain, a, b, config.scale(plain, a.shape[0]), bool(table)))
    return pairs, skips


def _misfit(a: tuple[int, ...], b: tuple[int, ...]) -> str | None:
    if len(a) < 2 or len(b) < 2 or 0 in (*a, *b):
        return f"a LoRA factor of shape {a} beside {b}: no product"
    if b[1] != a[0] or any(size != 1 for size in b[2:]):
        return f"LoRA factors {b} and {a} cannot be multiplied"
    return None


class PeftCheckpoint(ListedCheckpoint):
    """The updates of an adapter, or its base with the updates added."""

    def __init__(self, adapter: Checkpoint, config: AdapterConfig, limits: Limits, *, base: Checkpoint | None = None, form: str = "factors") -> None:
        super().__init__(adapter.source, "peft", limits)
        self._adapter, self._base, self._config = adapter, base, config
        self.owns_base = False
        pairs, skips = find_pairs(adapter.specs, config)
        if not pairs:
            raise UnsupportedInput(f"{self.label}: no pair of lora_A and lora_B was found; genscope reads LoRA adapters.")
        factors = {spec.name for pair in pairs for spec in (pair.a, pair.b)} | {skip.layer for skip in skips}
        others = [spec for spec in adapter.specs if spec.name not in factors]
        magnitudes = [spec for spec in others if "lora_magnitude_vector" in spec.name]
        skips += [Skip(spec.name, "DoRA magnitudes, not applied") for spec in magnitudes] + list(adapter.skips)
        others = [spec for spec in others if spec not in magnitudes]
        self._pairs: dict[str, LoraPair] = {}
        self._own = {spec.name: spec.name for spec in others}
        specs = self._merged(pairs, others) if base is not None else [*self._alone(pairs, form), *others]
        self.set_specs(specs, skips)
        self.notes = (*config.notes, *adapter.notes, *self._form_notes(pairs, others))
        self.metadata = adapter.metadata

    def _alone(self, pairs: list[LoraPair], form: str) -> list[TensorSpec]:
        if form == "factors":
            self._own |= {spec.name: spec.name for pair in pairs for spec in (pair.a, pair.b)}
            return [replace(spec, kind="lora", attributes={**spec.attributes, **pair.facts}) for pair in pairs for spec in (pair.a, pair.b)]
        specs = []
        for pair in pairs:
            name = f"{pair.module}.lora_BA"
            number = 2
            while name in self._pairs:
                name, number = f"{pair.module}.lora_BA#{number}", number + 1
            self._pairs[name] = pair
            specs.append(TensorSpec(name, pair.shape, "float32", pair.a.n_bytes + pair.b.n_bytes, "lora", attributes=pair.facts))
        return specs

    def _merged(self, pairs: list[LoraPair], others: list[TensorSpec]) -> list[TensorSpec]:
        assert self._base is not None
        known = {name: spec for spec in self._base.specs for name in (spec.name, *spec.aliases)}
        targets = {_target(pair, known, self.label).name: pair for pair in pairs}
        if len(targets) < len(pairs):
            raise CorruptInput(f"{self.label}: two LoRA pairs change the same weight of the base; merge one adapter at a time.")
        self._pairs = dict(targets)
        saved = {_plain(spec.name): spec.name for spec in others}
        self._own = {name: stored for name, stored in saved.items() if name in known}
        specs = []
        for spec in self._base.specs:
            pair = targets.get(spec.name)
            if pair is None:
                specs.append(spec)
                continue
            if pair.shape != spec.shape and pair.shape != spec.shape[::-1]:
                raise CorruptInput(f"{self.label}: the update {pair.shape} of {display_name(pair.module)!r} does not fit the base's {spec.shape}.")
            specs.append(replace(spec, attributes={**spec.attributes, **pair.facts}))
        return specs

    def _form_notes(self, pairs: list[LoraPair], others: list[TensorSpec]) -> list[str]:
        notes = [f"{len(pairs)} LoRA updates of rank {', '.join(str(rank) for rank in sorted({pair.rank for pair in pairs})[:5])}."]
        if any(pair.scale is None for pair in pairs):
            notes.append("Without adapter_config.json the factor alpha/r is not known; the updates are B·A as stored (alpha = r).")
        if self._base is not None:
            notes.append(f"The updates were added to {len(self._pairs)} weights of {display_name(os.path.basename(self._base.source))}.")
            unused = len(others) - len(self._own)
            if unused:
                notes.append(f"{unused} further tensors of the adapter match no tensor of the base and were left out.")
        return notes

    def read(self, name: str) -> np.ndarray:
        """The update, the factor, or the merged weight called ``name``, as float32 (float64 where the base is)."""
        spec = self.spec_of(name)
        if name in self._own:
            return self._adapter.read(self._own[name])
        pair = self._pairs.get(name)
        if self._base is None:
            assert pair is not None
            weight = np.zeros(pair.shape, dtype=np.float32)
            self._add_update(weight, pair, transposed=False)
            return weight
        weight = self._base.read(name)
        if pair is None:
            return weight
        weight = np.array(weight)
        self._add_update(weight, pair, transposed=self._is_transposed(pair, spec))
        return weight

    def _is_transposed(self, pair: LoraPair, spec: TensorSpec) -> bool:
        """Whether the base stores the weight input-first (GPT-2's Conv1D); a square weight is told by the configuration."""
        if len(spec.shape) != 2 or pair.is_embedding:
            return False
        return self._config.input_first if pair.shape == pair.shape[::-1] else pair.shape != spec.shape

    def _add_update(self, weight: np.ndarray, pair: LoraPair, *, transposed: bool) -> None:
        """Add ``B·A·scale`` in float64 by blocks of rows, so that no second matrix of the weight's size is made."""
        a = self._adapter.read(pair.a.name).astype(np.float64).reshape(pair.rank, -1)
        b = self._adapter.read(pair.b.name).astype(np.float64).reshape(-1, pair.rank) * (1.0 if pair.scale is None else pair.scale)
        left, right = (a.T, b.T) if transposed or pair.is_embedding else (b, a)
        rows = weight.reshape(weight.shape[0], -1)
        step = max(1, _ROWS_AT_ONCE // max(1, right.shape[1]))
        for first in range(0, rows.shape[0], step):
            rows[first : first + step] += left[first : first + step] @ right

    def close(self) -> None:
        """Close the adapter, and the base if it was opened for this."""
        super().close()
        self._adapter.close()
        if self.owns_base and self._base is not None:
            self._base.close()


def _plain(name: str) -> str:
    stripped = next(name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix))
    return stripped.replace(".modules_to_save.default", "").replace(".modules_to_save", "").replace(".base_layer", "")


def _target(pair: LoraPair, known: dict[str, TensorSpec], label: str) -> TensorSpec:
    """The base tensor a pair changes: same name, or the only one that differs by leading parts (``model.``, ``transformer.``)."""
    wanted = [f"{pair.module}.weight", pair.module]
    for name in wanted:
        if name in known:
            return known[name]
    ends = [spec for name, spec in known.items() if any(name.endswith("." + end) or end.endswith("." + name) for end in wanted[:1])]
    if len({spec.name for spec in ends}) == 1:
        return ends[0]
    what = "has no tensor" if not ends else "has several tensors"
    raise UsageError(f"{label}: the base {what} for {display_name(pair.module)!r}; give the base model this adapter was trained on.")


def open_peft_folder(
    path: str | Path, limits: Limits | None = None, base: str | Path | Checkpoint | None = None, *, form: str = "factors"
) -> PeftCheckpoint:
    """Open a LoRA adapter: a folder with ``adapter_config.json``, or a bare adapter file.

    Args:
        base: a checkpoint (or its path) to add the updates to; the result then has the base's names.
        form: ``factors`` lists A and B with ``lora_scaling`` among their attributes, from which the spectrum of the product is found without
            forming it; ``product`` lists one tensor ``<module>.lora_BA`` per pair and multiplies it out.

    Raises:
        UnsupportedInput: not LoRA, or no weights beside the configuration.
        UsageError: the base does not have the modules the adapter changes.
    """
    path, limits = Path(path), limits or Limits()
    if form not in FORMS:
        raise UsageError(f"There is no form {form!r} of an adapter; choose one of {', '.join(FORMS)}.")
    opener = importlib.import_module("genscope.checkpoints.open")
    if path.is_dir():
        adapter, config = _open_folder(path, limits)
    else:
        adapter, config = opener.open_file(path, limits), AdapterConfig()
    try:
        opened = opener.open_checkpoint(base, limits=limits) if isinstance(base, str | Path) else base
        with plain_errors(path.name):
            merged = PeftCheckpoint(adapter, config, limits, base=opened, form=form)
            merged.owns_base = opened is not base
            return merged
    except BaseException:
        adapter.close()
        raise


def _open_folder(path: Path, limits: Limits) -> tuple[Checkpoint, AdapterConfig]:
    present = {entry.name for entry in path.iterdir()}
    weights = next((name for name in WEIGHTS if name in present), None)
    if weights is None:
        raise UnsupportedInput(f"{display_name(path.name)}: neither {WEIGHTS[0]} nor {WEIGHTS[1]} is in the adapter's folder.")
    config = read_config(file_inside(path, CONFIG), limits) if CONFIG in present else AdapterConfig()
    file = file_inside(path, check_component(weights, path.name))
    with plain_errors(file.name):
        kind = sniff_format(file, weights)
        if kind not in _READERS:
            raise UnsupportedInput(f"{file.name}: this is no safetensors or torch file but {kind}; get the adapter's weights again.")
        read_table = importlib.import_module(_READERS[kind]).read_table
        return TableCheckpoint(os.fspath(path), read_table(file, limits), limits), config
