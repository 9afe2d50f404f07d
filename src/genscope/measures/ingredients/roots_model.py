"""The names that only a trained model and its data can supply."""

from genscope.core.catalogue import default_catalogue

ROOTS = {
    "network": "the model as a pure function of its parameters (BatchNorm folded where that is proven exact)",
    "graph": "its traced graph with BatchNorm folded, or the sentence why it could not be traced",
    "params": "the trained parameters, name to tensor",
    "initial_params": "the parameters at initialization, where known; a prior and the origin of distances",
    "forward": "forward(params, x) -> logits",
    "loss": "the name of the training loss: cross_entropy, logistic, exponential or squared",
    "batches": "the training data as a re-iterable of (x, y) in a fixed order",
    "test_batches": "held-out data, where given",
    "n_examples": "the number of training examples",
    "n_classes": "the number of classes",
    "data_dependent_buffers": "names of buffers (BatchNorm statistics) that were learned from the data and are not parameters",
}

for _name, _meaning in ROOTS.items():
    default_catalogue.root(_name, _meaning)
