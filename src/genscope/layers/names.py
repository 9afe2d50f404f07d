"""What the field's names for tensors say about the layer behind them."""

import re

# Buffers that are saved beside weights but are not weights.
BUFFER = re.compile(
    r"(^|[._/])(running_mean|running_var|moving_mean|moving_variance|num_batches_tracked|position_ids|token_type_ids|masked_bias|causal_mask|attn_mask"
    r"|attention_mask|mask|relative_position_index|relative_coords_table|inv_freq|original_inv_freq|cos_cached|sin_cached|freqs_cis|rope_freqs"
    r"|weight_scale_inv|weight_scale|input_scale|absmax|quant_map|qzeros|g_idx|zero_point)(:\d+)?$"
)
BIAS = re.compile(r"(^|[._/])(bias|b|beta|gamma|bias_ih_l\d+\w*|bias_hh_l\d+\w*)(:\d+)?$")
RECURRENT = re.compile(r"^(?P<head>.*?)weight_(?P<side>ih|hh|hr)(?P<tail>(_l\d+)?(_reverse)?)$")
EMBEDDING = re.compile(
    r"(^|[._/])(wte|wpe|shared|emb|embed|embeds|embeddings?|embed_(?!out)\w+|\w*_?embeddings?|\w*_embd?|\w*_embed|pos_embed\w*|position_embd)([._/](weight|embeddings)(:\d+)?)?$"
)
POSITIONS = re.compile(r"(pos_?emb|position_?emb|positional_?emb|pos_?enc)", re.IGNORECASE)
TRANSPOSED_CONVOLUTION = re.compile(r"(deconv|conv_?transpose|transpose_?conv|transposed_conv|convt\d|upconv|up_conv)", re.IGNORECASE)
CONVOLUTION = re.compile(r"(^|[._/])\w*conv\w*", re.IGNORECASE)
DEPTHWISE = re.compile(r"(depthwise|depth_wise|dwconv|dw_conv|conv_dw|(^|[._/])dw(\d*)([._/]|$))", re.IGNORECASE)
BILINEAR = re.compile(r"bilinear", re.IGNORECASE)
EXPERTS = re.compile(r"(expert|(^|[._/])moe|_moe([._/]|$)|_exps([._/]|$)|switch_mlp|sparse_moe)", re.IGNORECASE)
# GPT-2's Conv1D stores [in, out].
GPT2_PROJECTION = re.compile(r"^(?P<block>.*?)(?P<part>(attn|mlp|crossattention)\.)?(?P<leaf>c_attn|q_attn|c_proj|c_fc)\.weight$")
FUSED_BY_HEAD = re.compile(r"(^|[._/])query_key_value\.weight$")
FUSED_THIRDS = re.compile(
    r"(^|[._/])(in_proj_weight|qkv\.weight|Wqkv\.weight|qkv_proj\.weight|to_qkv\.weight|attn_qkv\.weight|c_attn\.weight|qkv_weight)$"
)
ALWAYS_THIRDS = re.compile(r"(^|[._/])in_proj_weight$")
FUSED_HALVES = re.compile(r"(^|[./])(kv|to_kv)\.weight$")
GATE_UP = re.compile(r"(^|[._/])(gate_up_proj(\.weight)?|w12\.weight)$")
LORA = re.compile(r"^(?P<head>.*?)[._]?lora_(?P<table>embedding_)?(?P<factor>A|B|down|up)(?P<tail>([._][^.]+)??)([._]weight)?$")
WEIGHT_NORM = re.compile(r"^(?P<head>.*?)(?P<leaf>weight_g|weight_v|parametrizations\.weight\.original0|parametrizations\.weight\.original1)$")

# Keras and Flax call a weight a kernel and keep its inputs first, in whatever file it lies.
KERNEL = re.compile(r"(^|[./])(?P<word>kernel|depthwise_kernel|pointwise_kernel|recurrent_kernel)(:\d+)?$")
HEAD_AXES = re.compile(r"(^|[./])(query|key|value|attention_output|[^./]*[Aa]ttention[^./]*[./]out)[./]kernel(:\d+)?$")
RECURRENT_LAYER = re.compile(r"(lstm|gru|rnn)", re.IGNORECASE)

# Classes and words a source may give as kind, and the one word used here.
KINDS = {
    "dense": "linear", "conv1d_gpt2": "linear", "nonlinear": "linear", "nondynamicallyquantizablelinear": "linear", "embeddingbag": "embedding",
    "convtranspose1d": "conv_transpose1d", "convtranspose2d": "conv_transpose2d", "convtranspose3d": "conv_transpose3d",
    "multiheadattention": "attention", "lstmcell": "lstm", "grucell": "gru", "rnncell": "rnn", "moe": "experts",
}  # fmt: skip
KNOWN = frozenset({"linear", "embedding", "lstm", "gru", "rnn", "attention", "experts", "bilinear", "stack"}) | {
    f"conv{word}{n}d" for word in ("", "_transpose") for n in (1, 2, 3)
}


def known_kind(word: str | None) -> str | None:
    """The kind in this package's own words, or ``None`` when the source's word says nothing about matrices.

    Example:
        >>> known_kind("ConvTranspose2d"), known_kind("LayerNorm")
        ('conv_transpose2d', None)
    """
    if word is None:
        return None
    lower = word.lower()
    kind = KINDS.get(lower, lower)
    return kind if kind in KNOWN else None


def module_of(name: str) -> str:
    """The name without its last part (``layer1.conv.weight`` → ``layer1.conv``).

    Example:
        >>> module_of("layer1.conv.weight")
        'layer1.conv'
    """
    cut = max(name.rfind("."), name.rfind("/"))
    return name[:cut] if cut > 0 else ""
