import pytest

from genscope.checkpoints.module_kinds import kind_and_attributes


@pytest.mark.parametrize(
    ("classes", "name", "dims", "kind"),
    [
        (["MyConv", "Conv2d", "Module"], "weight", 4, "conv2d"),
        (["Conv1D"], "weight", 2, "linear"),
        (["LSTM"], "weight_hh_l0", 2, "lstm"),
        (["MultiheadAttention"], "in_proj_weight", 2, "attention"),
        (["Linear"], "bias", 1, None),
        (["BatchNorm2d"], "weight", 1, None),
        (["Unknown"], "weight", 2, None),
    ],
)
def test_kinds_by_class_name(classes, name, dims, kind):
    assert kind_and_attributes(classes, name, dims, {}.get)[0] == kind


def test_only_plain_sizes_become_attributes():
    facts = {"groups": True, "stride": (1, -1), "padding": "same", "dilation": [2, 2]}
    assert kind_and_attributes(["Conv2d"], "weight", 4, facts.get) == ("conv2d", {"padding": "same", "dilation": (2, 2)})
    assert kind_and_attributes(["Conv2d"], "weight", 4, {"padding": "x" * 9, "groups": 2**40}.get)[1] == {}
