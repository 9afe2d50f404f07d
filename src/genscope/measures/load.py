"""Bring the catalogue's functions in: a family is loaded when a verb needs it, so that checkpoint verbs never load torch."""

import importlib
from importlib.metadata import entry_points

from genscope.core.catalogue import Catalogue, default_catalogue

MATRIX_FAMILIES = (
    "genscope.measures.ingredients.of_matrix",
    "genscope.measures.power_law",
    "genscope.measures.power_law_uncertainty",
    "genscope.measures.alpha_norms",
    "genscope.measures.tail_alternatives",
    "genscope.measures.truncated_power_law",
    "genscope.measures.matrix_norms",
    "genscope.measures.spectral_shape",
    "genscope.measures.random_matrix",
    "genscope.measures.determinant",
    "genscope.measures.correlation_traps",
    "genscope.measures.eigenvectors",
)
MODEL_FAMILIES: tuple[str, ...] = (
    "genscope.measures.ingredients.roots_model",
    "genscope.measures.errors",
    "genscope.measures.margins",
    "genscope.measures.normalized_margins",
    "genscope.measures.normalized_loss",
    "genscope.measures.parameter_norms",
    "genscope.measures.layer_norms",
    "genscope.measures.product_norms",
    "genscope.measures.operator_norms",
    "genscope.measures.path_norms",
    "genscope.measures.homogeneity",
    "genscope.measures.norms_over_margin",
    "genscope.measures.capacities",
    "genscope.measures.fisher_rao",
    "genscope.measures.jacobian",
    "genscope.measures.sharpness",
    "genscope.measures.average_sharpness",
    "genscope.measures.hessian",
    "genscope.measures.pac_bayes",
    "genscope.measures.worst_case_tolerance",
    "genscope.measures.certificate",
    "genscope.measures.theorem_one",
    "genscope.measures.basin",
)
PLUGIN_GROUP = "genscope.measures"


def load_matrix_measures() -> Catalogue:
    """Register the measures of one matrix (root ``matrix``) and those that installed plug-ins offer."""
    for module in MATRIX_FAMILIES:
        importlib.import_module(module)
    for plugin in entry_points(group=PLUGIN_GROUP):
        plugin.load()
    return default_catalogue


def load_all_measures() -> Catalogue:
    """Register every measure, those of a model with data too (torch itself is only loaded when one of them runs)."""
    load_matrix_measures()
    for module in MODEL_FAMILIES:
        importlib.import_module(module)
    return default_catalogue
