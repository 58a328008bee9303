"""Panels of a case."""

import numpy as np
import pytest
import torch

from unicoal_components.evaluation import case_evaluation
from unicoal_components.evaluation.case_evaluation import CaseEvaluation
from unicoal_components.evaluation.case_store import CaseStore
from unicoal_components.metrics.strict import StrictProtocol
from unicoal_components.slices.interpolation import nearest_slices


@pytest.fixture
def drawn(monkeypatch):
    """The volumes of the panels that would be drawn."""
    panels = []
    monkeypatch.setattr(case_evaluation, "save_panel", lambda path, *, images, **options: panels.append(images))
    return panels


@pytest.mark.parametrize("baselines", [[], ["copy", "cubic", "affine"]])
def test_the_input_is_in_the_panel_whatever_baselines_are_evaluated(tmp_path, drawn, baselines):
    truth = torch.rand(8, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.5 - 0.75
    stack = truth[::2]
    evaluate = CaseEvaluation(
        **{"method": "ours", "measures": [StrictProtocol()], "baselines": baselines, "networks": {}, "inferer": None},
        **{"panels": tmp_path / "panels", "store": CaseStore(tmp_path / "cases"), "volumes": False},
    )
    evaluate(
        {"indices": torch.arange(8), "spacing": (1.0, 1.0, 1.0)},
        {"image": stack[None], "label": truth[None], "pred": 0.5 * truth[None]},
        facts={"subject": "p1", "source": "t1", "target": "t1", "factor": 2.0, "axis": "axial"},
        path="p1.h5",
        draw=True,
    )
    (images,) = drawn
    others = ["cubic", "affine (knows the truth)"] if baselines else []
    assert list(images) == ["input (t1)", *others, "ours", "truth"]
    np.testing.assert_array_equal(images["input (t1)"], nearest_slices(stack, 2.0, torch.arange(8)))
