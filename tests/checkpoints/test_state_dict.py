import pytest

from genscope.checkpoints.state_dict import Found, Walk, clean_names, select


def flatten(value):
    return Walk(
        lambda v: isinstance(v, float), lambda v: v.items() if isinstance(v, dict) else enumerate(v) if isinstance(v, list) else None
    ).flatten(value)


def chosen(value, **options):
    selection = select(flatten(value), **options)
    return dict(zip(selection.names, selection.tensors, strict=True)), " ".join(selection.notes)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "module", "params"])
def test_wrappers_are_opened_and_named(key):
    names, notes = chosen({key: {"fc.weight": 1.0}, "epoch": 3, "ema": {"x": 2.0}})
    assert names == {"fc.weight": 1.0} and f"taken from '{key}'" in notes and "'ema'" in notes


def test_what_lies_beside_a_state_dict_is_said_and_weak_words_choose_only_when_alone():
    names, notes = chosen({"state_dict": {"a": 1.0}, "other": {"x": 2.0}})
    assert names == {"a": 1.0} and "'other'" in notes
    assert chosen({"net": {"a": 1.0}, "head": {"b": 2.0}})[0] == {"net.a": 1.0, "head.b": 2.0}


def test_weights_with_a_name_like_an_optimizer_are_weights():
    assert chosen({"scaler.weight": 1.0, "optim_head.weight": 2.0})[0] == {"scaler.weight": 1.0, "optim_head.weight": 2.0}


def test_wrappers_within_wrappers():
    names, notes = chosen({"model": {"state_dict": {"a": 1.0}, "ema": {"a": 2.0}}})
    assert names == {"a": 1.0} and "'model.state_dict'" in notes and "averaged" in notes


def test_optimizers_are_told_by_name_or_by_form():
    names, notes = chosen({"w": 1.0, "optimizer": {"m": 2.0}, "trainer": {"state": {0: {"exp_avg": 3.0}}, "param_groups": []}})
    assert names == {"w": 1.0} and "2 optimizer tensors" in notes


def test_twins_in_flat_names():
    names, notes = chosen({"net.a": 1.0, "model_ema.net.a": 2.0})
    assert names == {"net.a": 1.0} and "averaged" in notes
    assert chosen({"ema.a": 1.0})[0] == {"ema.a": 1.0}


def test_only_an_averaged_copy_is_used():
    names, notes = chosen({"ema_state_dict": {"a": 1.0}, "step": 3})
    assert names == {"a": 1.0} and "ema_state_dict" in notes


def test_several_networks_keep_their_names():
    names, _ = chosen({"generator": {"a": 1.0}, "discriminator": {"a": 2.0}})
    assert names == {"generator.a": 1.0, "discriminator.a": 2.0}


def test_prefixes_go_only_when_all_have_them_and_none_collide():
    assert clean_names(["module.a", "module.b"]) == ["a", "b"]
    assert clean_names(["module.module.a"]) == ["a"]
    assert clean_names(["module.a", "b"]) == ["module.a", "b"]
    assert clean_names(["enc._orig_mod.a", "enc.b"]) == ["enc.a", "enc.b"]
    assert clean_names(["_orig_mod.a", "a"]) == ["_orig_mod.a", "a"]


def test_cycles_and_depth_end():
    value: dict = {"w": 1.0}
    value["self"] = value
    deep: dict = {}
    value["deep"] = deep
    for _ in range(5000):
        deep["d"] = {}
        deep = deep["d"]
    deep["w"] = 2.0
    assert [item.path for item in flatten(value)] == [("w",)]


def test_part_is_used_as_asked():
    assert chosen({"model": {"a": 1.0}, "teacher": {"a": 2.0}}, part="teacher")[0] == {"a": 2.0}
    assert [Found(("a",), 1).optimizer] == [False]
