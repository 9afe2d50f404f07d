"""Rules that watch a run and speak up: each alarm is a sentence with the rule and the numbers behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Alarm:
    """What a rule has to say.

    Args:
        rule: its name: ``nan_loss normalized_loss_stalled alpha_below_two rho_without_margin``.
        sentence: what happened, for a person.
        numbers: what it was decided on.
    """

    rule: str
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AlarmRules:
    """When to speak.

    Args:
        patience: epochs without a smaller normalized loss, and epochs over which ρ and the normalized margin are compared.
        alpha: a layer's exponent below which the tail is too heavy.
        min_tail: eigenvalues that a tail needs before its exponent is believed.
        rho_growth: growth of ``ln ρ`` over ``patience`` epochs that counts as growth.
        margin_growth: relative growth of the normalized margin that counts as growth.
    """

    patience: int = 5
    alpha: float = 2.0
    min_tail: int = 10
    rho_growth: float = 0.02
    margin_growth: float = 0.01


class Alarms:
    """Applies the rules to each record; an alarm sounds once and again only after its cause was gone.

    Args:
        rules: thresholds.
    """

    def __init__(self, rules: AlarmRules | None = None) -> None:
        self.rules = rules or AlarmRules()
        self.sounding: set[str] = set()
        self.epochs: list[dict[str, float | int | None]] = []

    def hear(self, record: Record) -> list[Alarm]:
        """The alarms that ``record`` sets off."""
        found = [self._finite(record), *(self._alpha(layer, values, record) for layer, values in (record.get("layers") or {}).items())]
        if record["kind"] == "epoch":
            self.epochs = [*self.epochs, _standing(record)][-200:]
            found += [self._stalled(), self._rho_without_margin()]
        return [alarm for alarm in found if alarm is not None]

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept to go on after a restart."""
        return {"sounding": sorted(self.sounding), "epochs": list(self.epochs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.sounding, self.epochs = set(state["sounding"]), [dict(one) for one in state["epochs"]]

    def _once(self, key: str, condition: bool, alarm: Alarm | None) -> Alarm | None:
        if not condition:
            self.sounding.discard(key)
            return None
        if key in self.sounding:
            return None
        self.sounding.add(key)
        return alarm

    def _finite(self, record: Record) -> Alarm | None:
        loss = (record.get("train") or {}).get("loss")
        if loss is None:
            return None
        sentence = (
            f"The training loss is {loss} at step {record['step']}: from here on the weights mean nothing; go back to the last good checkpoint."
        )
        return self._once("nan_loss", not math.isfinite(loss), Alarm("nan_loss", sentence, {"loss": str(loss), "step": record["step"]}))

    def _alpha(self, layer: str, values: Mapping[str, Any], record: Record) -> Alarm | None:
        alpha, error, n_tail = values.get("alpha"), values.get("alpha_stderr"), values.get("n_tail")
        if alpha is None or error is None or n_tail is None or n_tail < self.rules.min_tail:
            return None
        # by more than its own standard error, so that the noise of a short tail does not sound it
        sentence = (
            f"{layer}: alpha fell below {self.rules.alpha:g} ({alpha:.2f} ± {error:.2f} from a tail of {n_tail:.0f} eigenvalues) at step "
            f"{record['step']}: so heavy a tail is a sign of over-fitting or of too large a step in this layer."
        )
        numbers = {"layer": layer, "alpha": alpha, "alpha_stderr": error, "n_tail": n_tail, "below": self.rules.alpha, "step": record["step"]}
        return self._once(f"alpha:{layer}", alpha + error < self.rules.alpha, Alarm("alpha_below_two", sentence, numbers))

    def _stalled(self) -> Alarm | None:
        for split in ("validation", "train"):
            losses = [one.get(f"normalized_loss/{split}") for one in self.epochs]
            known = [(index, loss) for index, loss in enumerate(losses) if loss is not None]
            if len(known) <= self.rules.patience:
                continue
            best, lowest = min(known, key=lambda pair: (pair[1], pair[0]))
            since = len([1 for index, _ in known if index > best])
            here, there = self.epochs[known[-1][0]], self.epochs[best]
            sentence = (
                f"The normalized {split} loss has stopped improving: {lowest:.6g} at step {there['step']} is the best, {since} epochs later it is "
                f"{known[-1][1]:.6g}; what the loss has gained since came from the scale of the outputs (the error may still fall)."
            )
            numbers = {"split": split, "best": lowest, "best_step": there["step"], "now": known[-1][1], "step": here["step"], "epochs_since": since}
            numbers["patience"] = self.rules.patience
            return self._once("stalled", since >= self.rules.patience, Alarm("normalized_loss_stalled", sentence, numbers))
        return None

    def _rho_without_margin(self) -> Alarm | None:
        wanted = ("log_rho", "normalized_margin_median/train")
        known = [one for one in self.epochs if all(one.get(key) is not None for key in wanted)]
        if len(known) <= self.rules.patience:
            return None
        before, now = known[-1 - self.rules.patience], known[-1]
        growth = float(now["log_rho"] or 0) - float(before["log_rho"] or 0)
        old, new = (float(one["normalized_margin_median/train"] or 0) for one in (before, now))
        stands = new <= old + self.rules.margin_growth * abs(old)
        sentence = (
            f"ρ grows but the normalized margin does not: over the last {self.rules.patience} epochs ρ was multiplied by {math.exp(growth):.3g} "
            f"while the median normalized training margin went from {old:.4g} to {new:.4g}; what the loss gains comes from scale."
        )
        numbers = {"log_rho_growth": growth, "margin_before": old, "margin_now": new, "from_step": before["step"], "step": now["step"]}
        numbers |= {"patience": self.rules.patience}
        return self._once("rho_without_margin", growth > self.rules.rho_growth and stands, Alarm("rho_without_margin", sentence, numbers))


def _standing(record: Record) -> dict[str, float | int | None]:
    """The few numbers of an epoch that the rules compare."""
    told: dict[str, float | int | None] = {"step": record["step"], "log_rho": (record.get("values") or {}).get("log_rho")}
    for split in ("train", "validation"):
        for name in ("normalized_loss", "normalized_margin_median"):
            told[f"{name}/{split}"] = (record.get(split) or {}).get(name)
    return told
