"""Poggio et al., Figure 2: the normalized losses of Liao et al. again, from the same runs."""

from dataclasses import replace

from genscope.experiments.papers.liao_slope_one import EXPERIMENTS as LIAO

_SAME = next(experiment for experiment in LIAO if experiment.id == "S1-F2b")
EXPERIMENTS = (
    replace(
        _SAME,
        id="S3-F2",
        source="Poggio et al., Figure 2",
        title="Normalized training loss predicts normalized test loss",
        claim=(
            "Test cross-entropy against training cross-entropy of networks that differ in the size of their initial weights: unrelated as they "
            "are, on a line of slope one after each layer is divided by its norm."
        ),
        paper_figure="Test against training loss before and after normalization, with the networks trained on random labels on the same line.",
    ),
)
