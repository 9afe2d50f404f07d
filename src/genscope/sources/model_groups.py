"""Under which heading a measure of a trained model is shown."""

from collections.abc import Mapping
from types import MappingProxyType

from genscope.core.catalogue import Node

HEADINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "errors": ("errors",),
        "margins": ("margins", "normalized_margins"),
        "normalized loss": ("normalized_loss", "first_order_law"),
        "PAC-Bayes": ("certificate", "pac_bayes", "worst_case_tolerance"),
        "norms over margin": ("norms_over_margin", "capacities"),
        "norms": ("parameter_norms", "layer_norms", "product_norms", "operator_norms", "path_norms"),
        "homogeneity": ("homogeneity",),
        "sharpness": ("sharpness", "average_sharpness"),
        "curvature": ("hessian",),
        "basin": ("basin",),
        "sensitivity": ("fisher_rao", "jacobian", "lipschitz"),
        "theorem 1 of Neyshabur et al.": ("theorem_one",),
    }
)
OTHER = "other measures"
_HEADING_OF = {family: heading for heading, families in HEADINGS.items() for family in families}


def heading_of(node: Node) -> str:
    """The heading of a measure, by the family (the file) it belongs to; measures of users are ``other measures``.

    Example:
        >>> from genscope.measures.load import load_all_measures
        >>> heading_of(load_all_measures().nodes["margin"])
        'margins'
    """
    module = node.function.__module__
    return _HEADING_OF.get(module.rpartition(".")[2], OTHER) if module.startswith("genscope.measures.") else OTHER
