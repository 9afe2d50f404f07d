"""The few numbers of an ``adapter_config.json`` that LoRA products need; nothing it names is opened."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.strict_header import strict_json
from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput

_PLAIN = re.compile(r"^[\w.\-]+$")


@dataclass(frozen=True)
class AdapterConfig:
    """What scales the product: ``alpha/r``, or ``alpha/√r`` for rank-stabilized LoRA; ``alpha`` is ``None`` when unknown."""

    alpha: float | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    rank_stabilized: bool = False
    input_first: bool = False
    notes: tuple[str, ...] = ()

    def scale(self, module: str, rank: int) -> float | None:
        """The factor of ``B·A`` for one module, or ``None`` if the configuration is missing.

        Example:
            >>> AdapterConfig(alpha=16.0).scale("q_proj", 8)
            2.0
        """
        alpha = next((value for key, value in self.alpha_pattern.items() if module == key or module.endswith("." + key)), self.alpha)
        if alpha is None or rank < 1:
            return None
        return alpha / (math.sqrt(rank) if self.rank_stabilized else rank)


def read_config(file: InputFile, limits: Limits) -> AdapterConfig:
    """Parse the configuration.

    Raises:
        CorruptInput: not a JSON object, or numbers that are none.
        UnsupportedInput: an adapter that is not LoRA.
    """
    limits.check("json_bytes", file.size, f"{file.name}: bytes")
    config = strict_json(file.pread(0, file.size), file.name, "the configuration")
    if not isinstance(config, dict):
        raise CorruptInput(f"{file.name} is not a JSON object; get a fresh copy of the adapter.")
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise UnsupportedInput(f"{file.name}: adapters of type {display_name(str(kind), 40)!r} are not read; genscope reads LORA.")
    alpha = _number(config.get("lora_alpha"), "lora_alpha", file.name)
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict) or len(patterns) > 100_000:
        raise LimitExceeded(f"{file.name}: alpha_pattern is not a small table.")
    return AdapterConfig(
        alpha,
        {key: value for key, given in patterns.items() if _PLAIN.match(key) and (value := _number(given, "alpha_pattern", file.name)) is not None},
        config.get("use_rslora") is True,
        config.get("fan_in_fan_out") is True,
        _notes(config, patterns),
    )


def _notes(config: Mapping[str, Any], patterns: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    base = config.get("base_model_name_or_path")
    if isinstance(base, str) and base:
        notes.append(f"The adapter names {display_name(base)!r} as its base model; nothing was opened there, give the base yourself to merge.")
    if config.get("use_dora") is True:
        notes.append("The adapter uses DoRA: its magnitudes are not applied, only the low-rank update is read.")
    # Patterns are regular expressions of a stranger: only plain names are matched, for a hostile one can run for years.
    unread = [key for key in patterns if not _PLAIN.match(key)]
    if unread:
        notes.append(f"{len(unread)} entries of alpha_pattern are regular expressions and were not applied ({display_name(unread[0], 60)!r} …).")
    return tuple(notes)


def _number(value: Any, what: str, label: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12 or not math.isfinite(value):
        raise CorruptInput(f"{label}: {what} is {display_name(repr(value), 40)}, not a number.")
    return float(value)
