"""Each rule sounds on what it is for, once, with its numbers, and on nothing else."""

import math
from typing import Any

from genscope.training.alarms import AlarmRules, Alarms


def epoch(step: int, *, normalized: float | None = None, split: str = "validation", log_rho: float | None = None, margin: float | None = None) -> Any:
    record: dict[str, Any] = {"kind": "epoch", "step": step, "values": {}, "train": {}, "validation": {}, "layers": {}}
    if normalized is not None:
        record[split]["normalized_loss"] = normalized
    if log_rho is not None:
        record["values"]["log_rho"] = log_rho
    if margin is not None:
        record["train"]["normalized_margin_median"] = margin
    return record


def rules_heard(alarms: Alarms, records: list[Any]) -> list[str]:
    return [alarm.rule for record in records for alarm in alarms.hear(record)]


def test_a_loss_that_is_not_a_number_sounds_once_until_it_is_one_again() -> None:
    alarms = Alarms()
    losses = [0.5, math.nan, math.inf, 0.4, math.nan]
    heard = [rules_heard(alarms, [{"kind": "step", "step": step, "train": {"loss": loss}}]) for step, loss in enumerate(losses)]
    assert heard == [[], ["nan_loss"], [], [], ["nan_loss"]]


def test_a_stalled_normalized_loss() -> None:
    alarms = Alarms(AlarmRules(patience=3))
    falling = [epoch(10 * k, normalized=2.3 - 0.01 * k) for k in range(5)]
    assert rules_heard(alarms, falling) == []
    found = [alarm for k in range(5, 10) for alarm in alarms.hear(epoch(10 * k, normalized=2.27))]
    assert [alarm.rule for alarm in found] == ["normalized_loss_stalled"]
    numbers = found[0].numbers
    assert numbers["best"] == 2.26 and numbers["best_step"] == 40 and numbers["step"] == 70 and numbers["epochs_since"] == 3
    assert "2.26" in found[0].sentence and "step 40" in found[0].sentence
    # it improves and stalls again: it may be said again
    assert rules_heard(alarms, [epoch(100, normalized=2.2), *(epoch(110 + k, normalized=2.25) for k in range(4))]) == ["normalized_loss_stalled"]


def test_the_training_loss_speaks_where_no_validation_is_given() -> None:
    alarms = Alarms(AlarmRules(patience=2))
    found = [alarm for k in range(4) for alarm in alarms.hear(epoch(k, normalized=2.0 + 0.1 * k, split="train"))]
    assert [alarm.numbers["split"] for alarm in found] == ["train"]


def layer(alpha: float, error: float = 0.1, n_tail: int = 40) -> Any:
    return {"kind": "step", "step": 7, "train": {}, "layers": {"fc1": {"alpha": alpha, "alpha_stderr": error, "n_tail": n_tail}}}


def test_alpha_below_two_by_more_than_its_error() -> None:
    assert (
        rules_heard(Alarms(), [layer(3.0), layer(2.0), layer(1.95), layer(1.5, n_tail=8), {**layer(1.0), "layers": {"fc1": {"alpha": None}}}]) == []
    )
    alarms = Alarms()
    found = [alarm for record in (layer(1.8), layer(1.7), layer(2.5), layer(1.6)) for alarm in alarms.hear(record)]
    assert [alarm.numbers["alpha"] for alarm in found] == [1.8, 1.6]
    assert "fc1: alpha fell below 2 (1.80 ± 0.10 from a tail of 40 eigenvalues)" in found[0].sentence


def test_rho_that_grows_without_the_margin() -> None:
    rules = AlarmRules(patience=2)
    growing = [epoch(k, log_rho=1.0 * k, margin=0.01 * (k + 1)) for k in range(5)]
    assert rules_heard(Alarms(rules), growing) == []
    still = [epoch(k, log_rho=1.0, margin=0.01) for k in range(5)]
    assert rules_heard(Alarms(rules), still) == []
    alarms = Alarms(rules)
    found = [alarm for k in range(5) for alarm in alarms.hear(epoch(k, log_rho=0.5 * k, margin=0.01))]
    assert [alarm.rule for alarm in found] == ["rho_without_margin"]
    assert found[0].numbers["log_rho_growth"] == 1.0 and f"multiplied by {math.e:.3g}" in found[0].sentence


def test_the_rules_go_on_after_a_restart() -> None:
    first, second, whole = Alarms(AlarmRules(patience=3)), Alarms(AlarmRules(patience=3)), Alarms(AlarmRules(patience=3))
    records = [epoch(k, normalized=2.0 + 0.01 * k) for k in range(6)]
    rules_heard(first, records[:2])
    second.load_state_dict(first.state_dict())
    assert rules_heard(second, records[2:]) == rules_heard(whole, records) == ["normalized_loss_stalled"]
