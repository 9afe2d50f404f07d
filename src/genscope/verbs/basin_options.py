"""What rarely needs to change in a basin run."""

from dataclasses import dataclass

from genscope.landscape.volume import LEAST_ESS


@dataclass(frozen=True)
class BasinOptions:
    """Accuracy, limits and sizes.

    Args:
        rtol: relative accuracy of radii.
        scan: factor between the radii of the outward scan of the first batch.
        n_check: samples inside each found radius.
        largest: radius, in multiples of the weights' own length, at which a ray counts as never crossing.
        n_gradients: rays whose gradients at the edge make the diagonal.
        rank: directions of the low-rank correction.
        floor: of the proposals, relative to the mean curvature.
        least_ess: effective sample size below which a volume is refused.
        layer_directions: rays that move one layer alone, per layer; 0 leaves layers out.
        n_profiles: rays whose whole profile is taken, to count crossings.
        hessian_examples: examples behind Hessian products.
    """

    rtol: float = 1e-3
    scan: float = 1.5
    n_check: int = 2
    largest: float = 100.0
    n_gradients: int = 512
    rank: int = 20
    floor: float = 1e-4
    least_ess: float = LEAST_ESS
    layer_directions: int = 64
    n_profiles: int = 48
    hessian_examples: int = 1024
