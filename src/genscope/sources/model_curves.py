"""The small arrays that the page of ``assess`` draws: margins, normalized outputs, the bi-criteria curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.core.status import Undefined
from genscope.measures.ingredients.normalization import Normalization
from genscope.measures.ingredients.outputs import Outputs
from genscope.measures.ingredients.sharpness_curve import SharpnessCurve


def curves_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Curves by title from the intermediates of a run; what was not computed is left out."""
    found: dict[str, Any] = {}
    margins = values.get("margins")
    if isinstance(margins, np.ndarray) and len(margins):
        found["margins"] = {**_histogram(margins), "xlabel": "margin of a training example", "ylabel": "density"}
    outputs, normalization = values.get("outputs"), values.get("normalization")
    if isinstance(outputs, Outputs) and isinstance(normalization, Normalization):
        with np.errstate(all="ignore"):
            top = np.exp(np.log(np.maximum(outputs.logits.max(axis=1), 1e-300)) - normalization.log_rho)
        found["normalized_top_logit"] = {**_histogram(top), "xlabel": "largest output of the normalized network", "ylabel": "density"}
    curve = values.get("sharpness_curve")
    if isinstance(curve, SharpnessCurve):
        half = 1.96 * np.nan_to_num(curve.sem)
        found["bi_criteria"] = {
            "x": curve.kl.tolist(), "y": curve.sharpness.tolist(),
            "low": (curve.sharpness - half).tolist(), "high": (curve.sharpness + half).tolist(),
            "alpha": curve.alpha.tolist(), "error": curve.error.tolist(),
            "xlabel": "KL divergence (nats)", "ylabel": "expected sharpness", "log": "x",
        }  # fmt: skip
    for name in ("zero_prior_certificate", "init_prior_certificate"):
        certificate = values.get(name)
        if certificate is not None and not isinstance(certificate, Undefined):
            found[name] = dict(vars(certificate))
    return found


def _histogram(values: np.ndarray, bins: int = 60) -> dict[str, list[float]]:
    density, edges = np.histogram(values, bins=bins if np.ptp(values) > 0 else 1, density=True)
    return {"edges": edges.tolist(), "density": density.tolist()}
