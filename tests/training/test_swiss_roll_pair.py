import torch

from genscope.training.problems import swiss_roll
from genscope.training.swiss_roll_pair import train_pair


def test_the_pair_starts_equal_takes_inputs_as_they_are_and_the_poison_shows():
    problem = swiss_roll(0, n=20, n_unseen=20, n_test=100, noise=0.1)
    pair = train_pair(epochs=150, snapshots=4, problem=problem, beta=0.5)
    start, end = pair.snapshots["good"][0], pair.snapshots["good"][-1]
    assert all(torch.equal(start[name], pair.snapshots["bad"][0][name]) for name in start)
    assert all(torch.equal(end[name], tensor) for name, tensor in pair.good.state_dict().items())
    assert len(pair.snapshots["bad"]) == 5
    x, y = torch.from_numpy(problem.split.test.x), torch.from_numpy(problem.split.test.y)
    for k, module in enumerate((pair.good, pair.bad)):
        accuracy = float((module(x).argmax(1) == y).double().mean())
        assert accuracy == float(pair.poisoned.test_accuracy[k])
    unseen = torch.from_numpy(problem.unseen.x), torch.from_numpy(problem.unseen.y)
    right = [float((module(unseen[0]).argmax(1) == unseen[1]).double().mean()) for module in (pair.good, pair.bad)]
    assert right[1] < right[0]
