import pytest

from unicoal_components.preparation.split import split_subjects

NAMES = [f"p{number:02d}" for number in range(20)]


def counts(drawn):
    return [list(drawn.values()).count(section) for section in ("training", "validation", "test")]


def test_every_subject_has_one_section_in_the_wanted_proportion():
    drawn = split_subjects(NAMES, fractions=(0.8, 0.1, 0.1), seed=0)
    assert list(drawn) == NAMES
    assert counts(drawn) == [16, 2, 2]


def test_the_same_seed_gives_the_same_split_whatever_the_order():
    first = split_subjects(NAMES, fractions=(0.5, 0.25, 0.25), seed=3)
    assert first == split_subjects(NAMES[::-1], fractions=(0.5, 0.25, 0.25), seed=3)
    assert first != split_subjects(NAMES, fractions=(0.5, 0.25, 0.25), seed=4)


@pytest.mark.parametrize(
    ("total", "fractions", "expected"),
    [
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (5, (0.8, 0.1, 0.1), [3, 1, 1]),
        (1, (0.8, 0.1, 0.1), [1, 0, 0]),
        (10, (0.8, 0.1, 0.1), [8, 1, 1]),
        (7, (1, 0, 0), [7, 0, 0]),
        (7, (0, 0, 1), [0, 0, 7]),
        (0, (0.8, 0.1, 0.1), [0, 0, 0]),
    ],
)
def test_no_wanted_section_is_empty_if_there_are_enough_subjects(total, fractions, expected):
    assert counts(split_subjects(NAMES[:total], fractions=fractions, seed=0)) == expected


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.8, 0.3, 0.1), (1.2, -0.1, -0.1), (float("nan"),) * 3, 0.8])
def test_fractions_that_are_no_split_are_errors(fractions):
    with pytest.raises(ValueError, match=r"split .*three fractions.*sum to 1.*0\.8,0\.1,0\.1"):
        split_subjects(NAMES, fractions=fractions, seed=0)
