"""The order of reading: every tensor once, for all the matrices it gives."""

from collections.abc import Sequence

from genscope.core.matrices import MatrixSpec


def group_by_tensor(matrices: Sequence[MatrixSpec]) -> tuple[tuple[MatrixSpec, ...], ...]:
    """Matrices that share a tensor, together and in plan order, so that a tensor is read once for all its views.

    Two matrices are in one group when a chain of shared tensors links them (a LoRA pair, the gates of one weight).

    Args:
        matrices: the plan's matrices.

    Returns:
        Groups in the order of their first member; each matrix is in exactly one.

    Example:
        >>> gates = [MatrixSpec("w", "lstm", f"gate_{g}", 4, 4, 1, ("w",)) for g in "if"]
        >>> [len(group) for group in group_by_tensor([*gates, MatrixSpec("v", "linear", "weight", 4, 4, 1, ("v",))])]
        [2, 1]
    """
    home: dict[str, int] = {}
    groups: dict[int, list[int]] = {}
    for position, matrix in enumerate(matrices):
        shared = sorted({home[name] for name in matrix.tensors if name in home})
        target = shared[0] if shared else position
        members = groups.setdefault(target, [])
        for other in shared[1:]:
            members.extend(groups.pop(other))
        members.append(position)
        if len(shared) > 1:
            home.update({name: target for name, group in home.items() if group in shared[1:]})
        for name in matrix.tensors:
            home[name] = target
    return tuple(tuple(matrices[i] for i in sorted(groups[first])) for first in sorted(groups))
