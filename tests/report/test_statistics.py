"""Statistics over subjects against scipy, definitions and closed forms."""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test, wilcoxon

from unicoal_components.metrics.measure import Column
from unicoal_components.report.statistics import (
    COMPARISON_FIELDS,
    bootstrap_interval,
    compare,
    holm,
    paired_comparison,
    smallest_p,
)

PSNR, MAE = Column("psnr", "PSNR", "dB", "higher"), Column("mae", "MAE", "", "lower")
ROUGHNESS, JITTER = Column("roughness", "roughness", "", "one"), Column("jitter", "jitter", "", "none")


def all_resamples(values):
    """Means of every one of the n^n samples with replacement: the bootstrap without chance."""
    return np.array([np.mean(sample) for sample in itertools.product(values, repeat=len(values))])


def test_the_interval_of_symmetric_values_is_that_of_all_resamples():
    values = [-3.0, -1.0, -0.5, 0.5, 1.0, 3.0]  # no skew: neither bias nor acceleration to correct
    expected = np.quantile(all_resamples(values), [0.025, 0.975])
    assert bootstrap_interval(values) == pytest.approx(expected, abs=0.1)


def test_a_skew_moves_the_interval_to_its_side():
    values = np.random.default_rng(0).exponential(size=30)
    percentile = np.quantile(np.random.default_rng(1).choice(values, (10_000, 30)).mean(axis=1), [0.025, 0.975])
    low, high = bootstrap_interval(values)
    assert low > percentile[0]
    assert high > percentile[1]


def test_the_interval_narrows_with_the_square_root_of_the_subjects():
    values = np.tile([0.0, 1.0], 50)  # the mean's standard deviation is 0.5 / sqrt(n)
    for n in (36, 100):
        low, high = bootstrap_interval(values[:n])
        assert high - low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(n), rel=0.1)


def test_the_interval_is_the_same_each_time_and_depends_on_the_seed():
    values = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, resamples=50) != bootstrap_interval(values, resamples=50, seed=1)


def test_a_higher_confidence_gives_a_wider_interval():
    values = [1.0, 2.0, 4.0, 8.0, 9.0]
    narrow, wide = bootstrap_interval(values, confidence=0.5), bootstrap_interval(values, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("values", [[0.1] * 3, [-4.0] * 5, [0.1 + 0.2, 0.3, 0.3]])
def test_equal_values_have_an_interval_without_width(values):
    assert bootstrap_interval(values) == pytest.approx((values[0], values[0]), abs=1e-15)


@pytest.mark.parametrize("values", [[3.0], [1.0, np.nan, 2.0], [20.0, np.inf, 21.0], [np.inf, np.inf]])
def test_one_subject_or_a_value_that_is_no_number_leaves_no_interval(values):
    assert np.isnan(bootstrap_interval(values)).all()


@pytest.mark.parametrize(
    ("values", "confidence", "message"), [([], 0.95, r"shape \(0,\)"), ([[1.0]], 0.95, "shape"), ([1.0], 95, "95")]
)
def test_values_that_are_no_list_of_subjects_are_refused(values, confidence, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, confidence=confidence)


def signed_rank_p(differences):
    """Two-sided p by its definition, over all 2^n signs, for differences without ties or zeros."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=len(ranks))])
    seen = ranks[np.asarray(differences) > 0].sum()
    return min(1.0, 2 * min((sums >= seen).mean(), (sums <= seen).mean()))


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_all_signs_of_the_ranks(seed):
    rng = np.random.default_rng(seed)
    ours, baseline = rng.normal(0.5, 1, 8), rng.normal(0, 1, 8)
    comparison = paired_comparison(ours, baseline, better="higher")
    assert comparison.p == pytest.approx(signed_rank_p(ours - baseline), abs=1e-12)
    assert comparison.n == 8
    assert comparison.mean_difference == pytest.approx(np.mean(ours) - np.mean(baseline))
    assert (comparison.low, comparison.high) == bootstrap_interval(ours - baseline)


def test_ties_and_zeros_of_few_subjects_are_tested_by_all_permutations():
    differences = np.array([1.0, 1.0, -1.0, 2.0, 0.0, 3.0])

    def rank_sum(d):
        return ((d > 0) * np.array([2.0, 2.0, 2.0, 4.0, 0.0, 5.0])).sum(axis=-1)

    expected = permutation_test((differences,), rank_sum, permutation_type="samples").pvalue
    assert paired_comparison(differences, np.zeros(6), better="lower").p == pytest.approx(expected)


def test_where_one_is_best_distances_to_it_are_compared():
    comparison = paired_comparison([0.9, 1.2, 1.0], [0.5, 0.6, 1.5], better="one")
    assert comparison.mean_difference == pytest.approx(((0.1 - 0.5) + (0.2 - 0.4) + (0.0 - 0.5)) / 3)
    assert comparison.high < 0


@pytest.mark.parametrize(
    ("ours", "baseline", "mean"),
    [
        ([1.0], [0.0], 1.0),
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, np.nan, 2.0], [0.0, 0.0, 0.0], np.nan),
        ([np.inf, 2.0], [np.inf, 1.0], np.nan),
        ([np.inf, 2.0], [3.0, 1.0], np.inf),
    ],
)
def test_without_two_finite_differences_that_are_not_all_zero_there_is_no_p(ours, baseline, mean):
    comparison = paired_comparison(ours, baseline, better="higher")
    assert np.isnan(comparison.p)
    assert comparison.mean_difference == pytest.approx(mean, nan_ok=True)


@pytest.mark.parametrize(
    ("ours", "better", "message"), [([1.0, 2.0], "higher", "2 values"), ([1.0], "up", "'up'"), ([], "one", "ours has")]
)
def test_values_that_cannot_be_paired_are_refused(ours, better, message):
    with pytest.raises(ValueError, match=message):
        paired_comparison(ours, [1.0], better=better)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 12, 20])
def test_no_exact_test_goes_below_the_smallest_p(n):
    assert smallest_p(n) == pytest.approx(wilcoxon(np.arange(1.0, n + 1)).pvalue)


def test_the_smallest_p_of_one_subject_is_one_and_of_none_is_refused():
    assert smallest_p(1) == 1
    with pytest.raises(ValueError, match="n is 0"):
        smallest_p(0)


def test_holm_reproduces_worked_examples():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def rejected(p_values, level):
    """Holm's procedure as published: from the smallest p on, compare with level / (tests left); stop at a failure."""
    left, found = dict(enumerate(p_values)), set()
    while left:
        index = min(left, key=left.get)
        if left[index] > level / len(left):
            break
        found.add(index)
        del left[index]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_step_down_procedure_rejects(seed):
    p = np.random.default_rng(seed).beta(0.3, 2, 12).round(3)  # ties happen
    adjusted = holm(p)
    assert adjusted.max() <= 1
    for level in (0.001, 0.013, 0.049, 0.101, 0.3, 0.77):
        assert set(np.flatnonzero(adjusted <= level)) == rejected(p, level)


def test_holm_leaves_out_tests_that_were_not_made():
    adjusted = holm([np.nan, 0.01, np.nan, 0.02])
    assert np.isnan(adjusted[[0, 2]]).all()
    assert adjusted[[1, 3]] == pytest.approx([0.02, 0.02])
    assert np.isnan(holm([np.nan])).all()
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_holm_refuses_values_that_are_no_probability(p):
    with pytest.raises(ValueError, match="p_values"):
        holm([0.5, p])


def rows(method, *, subjects=12, target="t2", **values):
    """One row per subject; subject i adds i / 100, so that no two differences of scaled values tie."""
    case = {"source": "t1", "target": target, "factor": 4.0, "method": method}
    return [
        case | {"subject": f"s{i:02d}"} | {name: value * (1 + i / 100) for name, value in values.items()}
        for i in range(subjects)
    ]


def test_each_other_method_and_metric_gets_a_row_with_holms_p_over_the_table():
    table = compare(
        rows("ours", psnr=30, mae=0.1) + rows("cubic", psnr=25, mae=0.2) + rows("unet", psnr=31, mae=0.1),
        method="ours",
        metrics=[PSNR, MAE],
    )
    assert all(tuple(row) == COMPARISON_FIELDS for row in table)
    assert [(row["baseline"], row["metric"], row["verdict"]) for row in table] == [
        ("cubic", "psnr", "better"),
        ("cubic", "mae", "better"),
        ("unet", "psnr", "worse"),
        ("unet", "mae", ""),
    ]
    assert [row["p"] for row in table[:3]] == pytest.approx([smallest_p(12)] * 3)
    assert [row["p_holm"] for row in table[:3]] == pytest.approx([3 * smallest_p(12)] * 3)
    assert np.isnan(table[3]["p_holm"])
    assert table[0]["difference"] == pytest.approx(5 * 1.055)
    assert table[0]["low"] < table[0]["difference"] < table[0]["high"]
    assert {row["n"] for row in table} == {12}
    assert (table[0]["source"], table[0]["target"], table[0]["factor"]) == ("t1", "t2", 4.0)


def test_subjects_are_paired_by_name_not_by_order():
    data = rows("ours", psnr=30) + rows("cubic", psnr=25)
    assert compare(data[::-1], method="ours", metrics=[PSNR])[0]["p"] == smallest_p(12)
    shuffled = [data[i] for i in np.random.default_rng(0).permutation(len(data))]
    ours, reference = compare(shuffled, method="ours", metrics=[PSNR]), compare(data, method="ours", metrics=[PSNR])
    assert ours[0]["difference"] == pytest.approx(reference[0]["difference"])
    assert ours[0]["p"] == reference[0]["p"]


def test_cases_are_compared_apart_and_one_without_the_method_is_left_out():
    data = rows("ours", psnr=30) + rows("cubic", psnr=25) + rows("cubic", psnr=25, target="pd")
    assert [row["target"] for row in compare(data, method="ours", metrics=[PSNR])] == ["t2"]
    data += rows("ours", psnr=20, target="pd")
    table = compare(data, method="ours", metrics=[PSNR])
    assert [(row["target"], row["verdict"]) for row in table] == [("t2", "better"), ("pd", "worse")]


def test_columns_without_a_better_direction_have_no_verdict_and_one_is_a_distance():
    data = rows("ours", roughness=1, jitter=3) + rows("cubic", roughness=0.5, jitter=1)
    near, jumpy = compare(data, method="ours", metrics=[ROUGHNESS, JITTER])
    assert near["difference"] < 0
    assert near["verdict"] == "better"
    assert jumpy["p_holm"] < 0.05
    assert jumpy["verdict"] == ""


def test_few_subjects_prove_nothing():
    data = rows("ours", psnr=30, subjects=5) + rows("cubic", psnr=10, subjects=5)
    row = compare(data, method="ours", metrics=[PSNR])[0]
    assert row["low"] > 0
    assert (row["p"], row["verdict"]) == (smallest_p(5), "")


def test_ranks_that_one_subject_outweighs_in_the_mean_get_no_verdict():
    data = rows("ours", psnr=30) + rows("cubic", psnr=29)
    data[0]["psnr"] = 0.0  # one failure against eleven small gains
    row = compare(data, method="ours", metrics=[PSNR])[0]
    assert row["difference"] < 0
    assert row["p_holm"] < 0.2
    assert row["verdict"] == ""
    many = rows("ours", psnr=30, subjects=20) + rows("cubic", psnr=29, subjects=20)
    many[0]["psnr"] = 0.0
    row = compare(many, method="ours", metrics=[PSNR])[0]
    assert row["p_holm"] < 0.05
    assert row["low"] < 0
    assert row["verdict"] == ""


def test_a_subject_that_was_not_measured_leaves_no_verdict():
    data = rows("ours", psnr=30) + rows("cubic", psnr=25)
    data[3]["psnr"] = np.nan
    row = compare(data, method="ours", metrics=[PSNR])[0]
    assert row["verdict"] == ""
    assert np.isnan([row[key] for key in ("difference", "low", "high", "p", "p_holm")]).all()


def test_rows_that_cannot_be_paired_are_refused_by_name():
    data = rows("ours", psnr=30) + rows("cubic", psnr=25)
    with pytest.raises(ValueError, match=r"t1 → t2 ×4: s11 measured for only one .* 'cubic'"):
        compare(data[:-1], method="ours", metrics=[PSNR])
    with pytest.raises(ValueError, match="'s00' is twice in method 'ours'"):
        compare([*data, data[0]], method="ours", metrics=[PSNR])
    with pytest.raises(ValueError, match="'s00' have no 'mae'"):
        compare(data, method="ours", metrics=[MAE])
    with pytest.raises(ValueError, match="the rows have cubic, ours"):
        compare(data, method="theirs", metrics=[PSNR])
    with pytest.raises(ValueError, match="the rows have none"):
        compare([], method="ours", metrics=[PSNR])
