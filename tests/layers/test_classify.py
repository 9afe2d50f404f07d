"""Kinds by name, neighbours and shape; every tensor that holds no matrix says why."""

import pytest

from genscope.core.tensors import Skip, TensorSpec
from genscope.layers.classify import Neighbours, classify
from genscope.layers.names import known_kind, module_of


def spec(name, shape, dtype="float32", **more):
    return TensorSpec(name, tuple(shape), dtype, 0, **more)


def kind_of(target, *others):
    return classify(target, Neighbours([target, *others]))


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("fc.weight", (10, 84), "linear"),
        ("lm_head.weight", (1000, 64), "linear"),
        ("embed_out.weight", (1000, 64), "linear"),
        ("model.embed_tokens.weight", (1000, 64), "embedding"),
        ("transformer.wte.weight", (50257, 768), "embedding"),
        ("wpe.weight", (1024, 768), "embedding"),
        ("bert.embeddings.word_embeddings.weight", (30522, 768), "embedding"),
        ("shared.weight", (32128, 512), "embedding"),
        ("token_embd.weight", (1000, 64), "embedding"),
        ("visual.positional_embedding", (50, 64), "embedding"),
        ("pos_embed", (1, 197, 64), "embedding"),
        ("patch_embed.proj.weight", (64, 3, 16, 16), "conv2d"),
        ("layer1.0.conv1.weight", (64, 64, 3, 3), "conv2d"),
        ("stem.weight", (8, 3, 3, 3, 3), "conv3d"),
        ("feature.conv1d.weight", (8, 4, 5), "conv1d"),
        ("blocks.0.weight", (8, 4, 5), "conv1d"),
        ("decoder.deconv1.weight", (8, 4, 3, 3), "conv_transpose2d"),
        ("bilinear.weight", (5, 3, 4), "bilinear"),
        ("layers.0.mlp.experts.gate_up_proj", (4, 16, 8), "experts"),
        ("blk.0.ffn_gate_exps.weight", (8, 64, 128), "experts"),
        ("attn.in_proj_weight", (24, 8), "attention"),
        ("blocks.0.attn.qkv.weight", (24, 8), "attention"),
        ("h.0.self_attention.query_key_value.weight", (24, 8), "attention"),
        ("mamba.in_proj.weight", (24, 8), "linear"),
        ("mystery", (9, 200, 300), "stack"),
    ],
)
def test_kinds(name, shape, kind):
    assert kind_of(spec(name, shape)).kind == kind


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "words"),
    [
        ("fc.bias", (10,), "float32", "1-D tensor (bias or normalization), no spectrum"),
        ("bn.weight", (10,), "float32", "1-D tensor"),
        ("bn.running_mean", (10,), "float32", "buffer (running_mean)"),
        ("bn.num_batches_tracked", (), "int64", "buffer (num_batches_tracked)"),
        ("embeddings.position_ids", (1, 512), "int64", "buffer (position_ids)"),
        ("logit_scale", (), "float32", "0-d tensor (a single number)"),
        ("fc.weight", (0, 5), "float32", "empty tensor (shape [0, 5])"),
        ("fc.weight", (3, 4), "int8", "int8 values"),
        ("keep", (3, 4), "bool", "bool values"),
        ("fc.weight", (3, 4), "complex64", "complex64 values"),
        ("h.0.attn.bias", (1, 1, 32, 32), "float32", "attention mask"),
        ("h.0.attn.masked_bias", (), "float32", "buffer (masked_bias)"),
        ("rotary_emb.inv_freq", (32,), "float32", "buffer (inv_freq)"),
        ("attn.relative_position_index", (49, 49), "int64", "buffer"),
        ("cls_token", (1, 1, 64), "float32", "vector stored in 3 dimensions"),
        ("scale", (64, 1, 1), "float32", "vector stored in 3 dimensions"),
        ("norm.gamma", (4, 8), "float32", "biases or gains"),
        ("odd.weight", (2, 2, 2, 2, 2, 2), "float32", "6-D tensor"),
    ],
)
def test_reasons(name, shape, dtype, words):
    found = kind_of(spec(name, shape, dtype))
    assert isinstance(found, Skip) and found.layer == name and words in found.reason


def test_the_sources_word_wins():
    assert kind_of(spec("a.weight", (4, 3), kind="Embedding")).kind == "embedding"
    assert kind_of(spec("a.weight", (4, 3, 2, 2), kind="ConvTranspose2d")).kind == "conv_transpose2d"
    assert kind_of(spec("conv.weight", (4, 3, 200), kind="bilinear")).kind == "bilinear"
    assert isinstance(kind_of(spec("a.weight", (4, 3), kind="LayerNorm")), Skip)
    assert kind_of(spec("a.weight", (4, 3), kind="SomethingNew")).kind == "linear"


@pytest.mark.parametrize(("gates", "kind"), [(4, "lstm"), (3, "gru"), (1, "rnn")])
def test_gates_are_counted(gates, kind):
    hidden = spec("r.weight_hh_l0", (gates * 5, 5))
    assert kind_of(spec("r.weight_ih_l0", (gates * 5, 7)), hidden).kind == kind
    assert kind_of(hidden).kind == kind


def test_projected_lstm_and_unknown_gates():
    others = [spec("r.weight_hh_l0", (20, 3)), spec("r.weight_hr_l0", (3, 5))]
    assert kind_of(spec("r.weight_ih_l0", (20, 7)), *others).kind == "lstm"
    assert kind_of(others[1], others[0]).kind == "lstm"
    alone = kind_of(spec("r.weight_ih_l0", (20, 7)))
    assert alone.kind == "rnn" and "cannot be told" in alone.notes[0]


def test_depthwise_by_name_or_place():
    first, later = spec("a.weight", (32, 1, 5, 5)), spec("b.weight", (64, 1, 3, 3))
    assert kind_of(first, later).facts["groups"] == 1  # a first layer may look at one-channel images
    found = classify(later, Neighbours([first, later]))
    assert found.facts["groups"] == 64 and "depthwise" in found.notes[0]
    assert kind_of(spec("depthwise_conv.weight", (32, 1, 3, 3))).facts["groups"] == 32
    assert classify(spec("b.weight", (64, 1, 3, 3), attributes={"groups": 1}), Neighbours([first, later])).facts["groups"] == 1


def test_gpt2_projections_are_stored_input_first_and_nanogpt_ones_are_not():
    gpt2 = [spec("h.0.attn.c_attn.weight", (8, 24)), spec("h.0.attn.c_proj.weight", (8, 8)), spec("h.0.mlp.c_fc.weight", (8, 32))]
    nano = [spec("h.0.attn.c_attn.weight", (24, 8)), spec("h.0.attn.c_proj.weight", (8, 8)), spec("h.0.mlp.c_fc.weight", (32, 8))]
    assert [kind_of(s, *gpt2).steps for s in gpt2] == [(("transpose", (1, 0)),)] * 3
    assert [kind_of(s, *nano).steps for s in nano] == [()] * 3
    assert kind_of(gpt2[0], *gpt2[1:]).shape == (24, 8)
    assert kind_of(spec("c.weight", (4, 9), attributes={"transposed": True})).shape == (9, 4)


def test_keras_layouts():
    def torch_shape(name, shape, kind=None, **attributes):
        return kind_of(spec(name, shape, layout="keras", kind=kind, attributes=attributes)).shape

    assert torch_shape("dense/kernel:0", (7, 5), "linear") == (5, 7)
    assert torch_shape("conv/kernel:0", (3, 2, 4, 8), "conv2d") == (8, 4, 3, 2)
    assert torch_shape("conv1/kernel:0", (5, 4, 8), "conv1d") == (8, 4, 5)
    assert torch_shape("dw/depthwise_kernel:0", (3, 3, 6, 2), "conv2d", depthwise=True, groups=6) == (12, 1, 3, 3)
    assert torch_shape("e/embeddings:0", (100, 8), "embedding") == (100, 8)
    assert torch_shape("mha/query/kernel:0", (8, 2, 4), None, keras_weight="einsum") == (8, 8)
    assert torch_shape("mha/attention_output/kernel:0", (2, 4, 6), None, keras_weight="einsum") == (6, 8)


def test_kernels_are_inputs_first_in_whatever_file_they_lie():
    """Names of Keras and Flax weights in a safetensors file, whose reader knows nothing of layouts."""
    shapes = {
        "conv2d_1_1/kernel:0": ((3, 3, 1, 8), (8, 1, 3, 3), 1),
        "separable_conv2d_1_1/depthwise_kernel:0": ((3, 3, 8, 1), (8, 1, 3, 3), 8),
        "separable_conv2d_1_1/pointwise_kernel:0": ((1, 1, 8, 16), (16, 8, 1, 1), 1),
    }
    specs = [spec(name, stored) for name, (stored, _, _) in shapes.items()]
    for target in specs:
        found = classify(target, Neighbours(specs))
        assert (found.shape, found.facts["groups"]) == shapes[target.name][1:]
    assert kind_of(spec("params.Dense_0.kernel", (7, 5))).shape == (5, 7)
    assert kind_of(spec("params.SelfAttention_0.query.kernel", (12, 2, 3))).shape == (6, 12)
    assert kind_of(spec("params.SelfAttention_0.out.kernel", (2, 3, 12))).shape == (12, 6)
    assert kind_of(spec("lstm_1/lstm_cell/kernel:0", (7, 20))).kind == "lstm"
    assert kind_of(spec("cell/recurrent_kernel:0", (5, 15))).kind == "gru"


def test_words():
    assert known_kind(None) is None and known_kind("Linear") == "linear" and known_kind("BatchNorm2d") is None
    assert module_of("a.b.weight") == "a.b" and module_of("dense/kernel:0") == "dense" and module_of("w") == ""
