import torch
from torch import nn

from unicoal_components.runtime.compilation import compile_network
from unicoal_components.training.parameter_groups import DETAIL as PATHS
from unicoal_components.training.parameter_groups import parameter_groups

DETAIL = {"detail_channels": 4, "detail_blocks": 1}


def rates(network, groups):
    """Learning rate of each parameter by name; none may come twice."""
    listed = [(id(parameter), group["lr"]) for group in groups for parameter in group["params"]]
    assert len(dict(listed)) == len(listed)
    return {name: dict(listed)[id(parameter)] for name, parameter in network.named_parameters()}


def test_every_parameter_comes_once_with_its_rate(engines):
    network = engines.generator(**DETAIL)
    found = rates(network, parameter_groups(network=network, learning_rate=0.02, detail_learning_rate=0.002))
    assert {name for name, rate in found.items() if rate == 0.002} == {n for n in found if n.startswith(PATHS)}
    assert set(found.values()) == {0.02, 0.002}


def test_without_a_rate_of_its_own_the_detail_path_has_that_of_the_rest(engines):
    network = engines.generator(**DETAIL)
    assert set(rates(network, parameter_groups(network=network, learning_rate=0.02)).values()) == {0.02}


def test_a_network_without_a_detail_path_is_one_group(engines):
    for network in (engines.generator(), nn.Linear(2, 2)):
        (group,) = parameter_groups(network=network, learning_rate=0.02, detail_learning_rate=0.002)
        assert group["lr"] == 0.02 and len(group["params"]) == len(list(network.parameters()))


def test_the_detail_path_is_found_when_the_network_is_compiled(engines):
    network = engines.generator(**DETAIL)
    compiled = compile_network(network=network, enabled=True)
    found = rates(compiled, parameter_groups(network=compiled, learning_rate=0.02, detail_learning_rate=0.002))
    assert {name for name, rate in found.items() if rate == 0.002} == {
        n for n in found if any(path in n for path in PATHS)
    }


def test_an_optimizer_moves_each_group_at_its_rate(engines):
    network = engines.generator(**DETAIL)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(network=network, learning_rate=0.5, detail_learning_rate=0.25))
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(
            before[name] - parameter, torch.full_like(parameter, 0.25 if name.startswith(PATHS) else 0.5)
        )


def test_the_prediction_of_the_error_can_have_a_rate_of_its_own(engines):
    network = engines.generator(**DETAIL, error_output=True)
    given = {"learning_rate": 0.0, "detail_learning_rate": 0.0}
    found = rates(network, parameter_groups(network=network, **given, error_learning_rate=0.5))
    assert {name for name, rate in found.items() if rate > 0} == {name for name in found if "error_tail" in name}
    assert set(rates(network, parameter_groups(network=network, **given)).values()) == {0.0}
