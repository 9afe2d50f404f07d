"""Tiny random models of Hugging Face and timm go through the same door as a user's own module."""

import warnings
from types import ModuleType

import pytest
import torch

from genscope.core.status import Undefined
from genscope.networks.determinism import require_deterministic
from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.homogeneity import homogeneity
from genscope.networks.layer_operators import layer_operators
from genscope.networks.path_norm import log_path_norm
from genscope.networks.trace import relative_error, trace

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def optional(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_language_models_from_a_tiny_config(kind):
    transformers = optional("transformers")
    ids = torch.randint(0, 50, (2, 6))
    x = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model = {
        "bert": lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL, num_labels=3)),
        "gpt2": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
        ),
        "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL)),
    }[kind]()
    network = require_deterministic(model, x)
    graph = trace(network, x)
    assert relative_error(graph.run(graph.params, graph.buffers, x), network(x)) < 1e-5
    assert not homogeneity(graph).uniform
    assert isinstance(log_path_norm(graph), Undefined)
    assert {op.kind for op in layer_operators(graph)} >= {"embedding", "linear"}
    assert fold_batch_norm(graph).error_exact < 1e-9


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_image_models_of_timm(name):
    timm = optional("timm")
    folded = fold_batch_norm(trace(timm.create_model(name, pretrained=False, num_classes=4), torch.randn(2, 3, 32, 32)))
    assert folded.folded
    assert folded.error_exact < 1e-12
    assert isinstance(log_path_norm(folded.graph), float)
