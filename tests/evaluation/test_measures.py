"""Measures by name."""

import pytest

from unicoal_components.evaluation.downstream import DownstreamDice
from unicoal_components.evaluation.measures import MEASURES, build_measures


def test_every_name_builds_a_measure_and_no_two_have_a_column_of_one_name():
    names = [column.name for measure in build_measures(names=MEASURES) for column in measure.columns]
    assert len(set(names)) == len(names) > 12


def test_an_object_may_stand_among_the_names():
    own = DownstreamDice(segmenter=lambda volume: volume)
    assert build_measures(names=["strict", own])[1] is own


@pytest.mark.parametrize("names", [[], ["strict", "strict"], ["strict", "lenient"], ["paper"]])
def test_other_names_are_refused_with_the_known_ones(names):
    with pytest.raises(ValueError, match="evaluation_measures is .*strict, paper, lpips"):
        build_measures(names=names)
