"""How to read the pages: short entries, each with the paper it comes from."""

_MM = "Martin & Mahoney 2021, Implicit Self-Regularization in Deep Neural Networks"
_MPM = "Martin, Peng & Mahoney 2021, Predicting trends in the quality of state-of-the-art neural networks"
_CSN = "Clauset, Shalizi & Newman 2009, Power-law distributions in empirical data"
_FGM = "Jiang et al. 2020, Fantastic Generalization Measures and Where to Find Them"

_SPECTRAL = [
    (
        "α (alpha)",
        "Exponent of the tail of a weight matrix's eigenvalue density, ρ(λ) ~ λ^−α. Training correlates the weights, and "
        "correlation makes the tail heavier, so α falls. Between 2 and 6 is the range seen in well-trained layers; above 6 the "
        "layer is close to its random start or hardly trained; below 2 the tail is so heavy that a few directions dominate. It "
        "is evidence about training, not a proof of accuracy.",
        _MM,
    ),
    (
        "Interval",
        "The 95% interval says how well the data pin α down. A wide interval means the layer is too small or its tail too short"
        " to tell; then the verdict says so.",
        _CSN,
    ),
    (
        "xmin, tail, KS distance",
        "The fit uses only the eigenvalues above xmin. xmin is the one that brings the fit closest to the data, measured by the"
        " Kolmogorov–Smirnov distance.",
        _CSN,
    ),
    (
        "p-value, doubtful",
        "A small p-value, a better-fitting alternative or a very short tail make a fit doubtful. Doubtful fits are drawn "
        "hollow; do not lean on them.",
        _CSN,
    ),
    (
        "MP edge",
        "Where the spectrum of a purely random matrix of the same shape and bulk scale would end. Eigenvalues beyond it carry what was learned.",
        "Marchenko & Pastur 1967; Baik, Ben Arous & Péché 2005",
    ),
    (
        "Randomized twin",
        "The same entries in shuffled places: same values, no correlations. Where the matrix differs from its twin, it has "
        "structure; when the twin itself has outliers, single large weights are to blame (a correlation trap).",
        _MM,
    ),
    ("α-hat", "α · log₁₀ λ_max. It weighs shape by size, and orders models of one family by test accuracy better than either alone.", _MPM),
    ("Stable rank", "‖W‖²_F / ‖W‖²₂: the number of directions that carry the norm, from 1 to the smaller side of the matrix.", _MM),
]

_RANKING = [
    (
        "Kendall τ",
        "Share of model pairs that a measure orders as the test error does, minus the share it orders the other way. +1 or −1 "
        "is a perfect order, 0 is chance. The bar is its 95% interval: when it crosses zero, these models do not show that the "
        "measure predicts anything.",
        _FGM,
    ),
    (
        "p-value",
        "How often shuffled scores reach an equally strong correlation. Many measures are tested at once; expect one in twenty below 0.05 by luck.",
        "Permutation test",
    ),
    (
        "LOO RMSE",
        "Error of a straight line from measure to score when each model is predicted from the others; compare it with the depth and size baselines.",
        _MPM,
    ),
    (
        "Correlation is not cause",
        "A measure may follow depth, width or training time rather than generalization. Look at groups, not only at the whole.",
        _FGM,
    ),
]

_BASIN = [
    (
        "Radius, mean ln r",
        "How far one can go from the weights in a random direction until the cutoff is reached for the first time. The mean of its logarithm has a "
        "known error and can be compared between networks with the same n, coordinates and cutoff.",
        "Huang et al. 2020, Understanding Generalization through Visualizations",
    ),
    (
        "Effective sample size, refused",
        "A volume is the mean of the n-th powers of the radii: in many dimensions the longest ray carries all of it. With fewer than 30 effective "
        "rays the number would only be a lower bound, so it is refused.",
        "Scherlis & Belrose 2025, Estimating the Probability of Sampling a Trained Neural Network at Random",
    ),
    (
        "Effective radius",
        "Radius of the ball with the same volume. In n dimensions radii in a ratio q are volumes in a ratio q to the n: look at radii.",
        "Huang et al. 2020",
    ),
    (
        "Filter-normalized",
        "Weights in units of the norm of their filter, so that rescaling layers of a ReLU network changes nothing.",
        "Li et al. 2018",
    ),
]

GLOSSARY: dict[str, list[tuple[str, str, str]]] = {
    "landscape basin": _BASIN,
    "analyze": _SPECTRAL,
    "compare": [
        (
            "Change",
            "Value in the last model minus value in the first. Small changes of α within both intervals mean nothing; compare the "
            "change with the intervals.",
            _MPM,
        ),
        ("‖ΔW‖ relative", "Frobenius norm of the difference over that of the first model: how far the layer moved.", "Nagarajan & Kolter 2019"),
        (
            "Subspace overlap",
            "How much the leading singular directions of the two layers agree, from 0 (orthogonal) to 1 (the same).",
            "Björck & Golub 1973",
        ),
        *_SPECTRAL[:2],
        _RANKING[0],
    ],
    "rank": _RANKING,
    "assess": [
        (
            "Margin",
            "How far the right class is ahead of the best other one. Large margins, relative to the size of the weights, go with a small gap.",
            "Bartlett, Foster & Telgarsky 2017, Spectrally-normalized margin bounds for neural networks",
        ),
        (
            "Sharpness",
            "How much the training loss can rise when the weights move a little. It depends on how weights are scaled, so prefer "
            "the magnitude-aware forms.",
            "Keskar et al. 2017; Dinh et al. 2017, Sharp Minima Can Generalize",
        ),
        (
            "PAC-Bayes",
            "Bounds from the largest noise the weights bear and their distance to the start.",
            "Dziugaite & Roy 2017; Neyshabur et al. 2018",
        ),
        (
            "What the numbers are for",
            "Most are only meaningful between models trained on the same data; rank them with test errors before believing any.",
            _FGM,
        ),
    ],
    "watch": [
        (
            "Normalized loss",
            "The loss of f/ρ, with ρ the product of the layers' norms or, across normalization layers and shortcuts, the output norm on one training "
            "example. It lies close to ln C, and small differences count. It says how well the data are fitted whatever the scale.",
            "Liao et al. 2018, A Surprising Linear Relationship Predicts Test Performance in Deep Networks",
        ),
        (
            "ρ and its growth",
            "After the data are separated, the loss can be lowered by scale alone: every layer's norm grows without end, ever more slowly.",
            "Poggio, Banburski & Liao 2020, Theoretical issues in deep networks",
        ),
        (
            "Margin, normalized margin",
            "How far the right class is ahead of the best other one, for the least examples and the median, and the same divided by ρ.",
            "Bartlett, Foster & Telgarsky 2017, Spectrally-normalized margin bounds for neural networks",
        ),
        _SPECTRAL[0],
        (
            "Effective learning rate",
            "η/ρ²: where a normalization layer makes the scale of the weights meaningless, only this decides how fast their direction turns.",
            "van Laarhoven 2017, L2 Regularization versus Batch and Weight Normalization",
        ),
    ],
    "reproduce": [
        ("HOLDS", "Every check passes: the whole 95% interval of each statistic lies where the claim says.", "genscope"),
        (
            "HOLDS-BUT-NULL-TOO",
            "The claim is true of these runs, but a control that should not show the effect passes as well; the observation does not support the "
            "explanation that the claim stands for.",
            "genscope",
        ),
        ("FAILS", "At least one check fails with its whole interval.", "genscope"),
        ("UNTESTABLE-AS-STATED", "The claim leaves open what would contradict it; the page says what was measured instead.", "genscope"),
        ("INCONCLUSIVE", "An interval straddles its threshold; the number of runs that would settle it is an estimate from its width.", "genscope"),
    ],
    "landscape boundary": [
        (
            "Margin",
            "Distance from a correctly classified example to the nearest input that is classified otherwise, as far as a search finds it. Networks "
            "that generalize keep it wide; poisoned ones leave their training examples on islands.",
            "Huang et al. 2019, Understanding generalization through visualizations",
        ),
        (
            "At least, exact",
            "Around each input a network of rectified linear units is linear up to the nearest face of its region. Up to there nothing is missed: "
            "a boundary inside is exact, and without one the face is a lower bound.",
            "Croce, Andriushchenko & Hein 2019, Provable Robustness of ReLU networks",
        ),
        (
            "Wrong-class area",
            "Share of the window in which the predicted class is not that of the nearest example of the data. It depends on the window.",
            "Huang et al. 2019",
        ),
    ],
    "landscape trajectory": [
        (
            "Random walk",
            "In many dimensions a random walk is a smooth curve in its first two principal components, and the first explains about 61 % of its "
            "variance. A trajectory shows something only where it differs from that.",
            "Antognini & Sohl-Dickstein 2018, PCA of high dimensional random walks",
        ),
        (
            "Off the plane",
            "A projection hides what is perpendicular to it. A checkpoint whose distance lies mostly off the plane is not where the picture puts it.",
            "Li et al. 2018, Visualizing the loss landscape of neural nets",
        ),
        (
            "t-SNE",
            "Keeps which checkpoints are neighbours and nothing else; its distances and the sizes of its groups have no meaning.",
            "Wattenberg, Viégas & Johnson 2016, How to use t-SNE effectively",
        ),
    ],
    "landscape": [
        (
            "Coordinates",
            "A point is w + t·d (a line) or w + x·d₁ + y·d₂ (a plane). The unit is that of the direction: 1 along a filter-normalized direction "
            "changes each filter by as much as the filter is long. Pictures with another normalization cannot be laid beside each other.",
            "Li et al. 2018, Visualizing the Loss Landscape of Neural Nets",
        ),
        (
            "Flat and sharp",
            "A basin that looks wide along a few random directions may be narrow along others: a random direction hardly sees the steepest ones. "
            "Planes of Hessian eigenvectors show these.",
            "Dinh et al. 2017; Li et al. 2018",
        ),
        (
            "Batch normalization",
            "Away from the trained weights the stored statistics are wrong. Recalibrated surfaces recompute them at every point, as a network would "
            "be used; frozen ones can be several times higher and lose the scale invariance that filter normalization is for.",
            "Li et al. 2018; Garipov et al. 2018",
        ),
        (
            "Marked models",
            "A checkpoint that is not on the plane is drawn at its projection; the loss under it is that of the plane, not its own. The distance "
            "from the plane says how much this matters.",
            "Li et al. 2018",
        ),
        (
            "Barrier",
            "How far the loss rises on a path above the straight line between its ends. Near zero: both networks share one basin.",
            "Frankle et al. 2020, Linear Mode Connectivity; Garipov et al. 2018",
        ),
        (
            "Not finite",
            "Where the loss is NaN or infinite the picture has a hole and the table says so; nothing is filled in.",
            "genscope",
        ),
    ],
    "describe": [
        ("Reading only the header", "Names, shapes, types and sizes come from the file's header; no weight was read for this page.", "genscope"),
    ],
}
