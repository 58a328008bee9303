"""Dice of classes, alias-freeness, uncertainty, and provenance."""

import json

CASE = {"source": "t1", "target": "t2", "factor": 4.0}


def test_dice_of_each_class_is_averaged_over_subjects(evaluation, shown):
    evaluation.write()
    rows = [
        {"subject": subject, **CASE, "method": "ours", "class": name, "dice": dice, **volumes}
        for subject, dice, volumes in (
            ("p1", 0.8, {"volume_prediction_ml": 100, "volume_truth_ml": 110}),
            ("p2", 0.9, {"volume_prediction_ml": 120, "volume_truth_ml": 130}),
            ("p3", "nan", {"volume_prediction_ml": "", "volume_truth_ml": ""}),
        )
        for name in ("white matter", "fluid")
    ]
    evaluation.table("segmentation.csv", rows)
    page = shown(evaluation, "anatomy")
    assert page.count("<td>0.850 ± 0.050") == 2
    assert "110.0 / 120.0 ml" in page
    assert page.index("white matter") < page.index("fluid")


def test_an_oracle_is_marked_in_the_table_of_dice(evaluation, shown):
    evaluation.write()
    numbers = {"class": "white matter", "dice": 0.8, "volume_prediction_ml": 1, "volume_truth_ml": 1}
    rows = [{"subject": "p1", **CASE, "method": name, **numbers} for name in ("ours", "affine")]
    evaluation.table("segmentation.csv", rows)
    page = shown(evaluation, "anatomy")
    assert '<th scope="row">affine<small class="oracle"> knows the truth</small></th>' in page
    assert page.count("knows the truth") == 1


def test_missing_content_has_no_section(evaluation, shown):
    assert shown(evaluation, "anatomy") is None
    assert shown(evaluation, "alias") is None
    assert shown(evaluation, "uncertainty") is None


def test_alias_freeness_has_a_row_for_each_network_and_way_to_move_it(evaluation, shown, moved):
    evaluation.write()
    evaluation.json("equivariance.json", moved())
    page = shown(evaluation, "alias")
    assert "t1 → t2 ×1, p1, 32 slices" in page
    assert "76.5 dB and 78.0 dB" in page
    assert "over the median step" in page  # as tools/measure_equivariance.py divides
    assert "other weights" in page
    evaluation.run["weights"] = {"path": "model.pt", "sha256": "1a"}
    evaluation.write()
    evaluation.json("equivariance.json", moved() | {"weights_sha256": "1a"})
    assert "other weights" not in shown(evaluation, "alias")
    assert "<td>alias free</td><td>still</td><td>61.4 ± 0.5</td><td>41.6 ± 0.5</td><td>21.5 ± 0.5</td>" in page
    assert "<td>moved style held</td><td>62.4 ± 0.5</td>" in page
    assert "<td>0.0123</td><td>0.850</td><td>5.7</td>" in page


def test_uncertainty_shows_the_curve_and_the_mean_by_case(evaluation, shown):
    evaluation.write()
    numbers = ((0.4, 1.0, 0.1), (0.6, 1.5, None))
    cases = [{"subject": f"p{k}", **CASE, "spearman": s, "scale": c, "gap": g} for k, (s, c, g) in enumerate(numbers)]
    evaluation.json("calibration.json", {"cases": cases, "nominal": [0.1, 0.5, 0.9], "observed": [0.05, 0.4, 0.85]})
    page = shown(evaluation, "uncertainty")
    assert "<td>0.500 ± 0.100</td><td>1.250 ± 0.250</td><td>0.100 (n 1)</td>" in page
    assert "<svg" in page and "as it should be" in page


def test_uncertainty_without_coverage_is_noted(evaluation, shown):
    evaluation.write()
    evaluation.json("calibration.json", {"cases": [], "nominal": [0.5], "observed": [None]})
    assert "No coverage was measured" in shown(evaluation, "uncertainty")


def test_provenance_lists_data_weights_software_and_every_value(evaluation, shown):
    evaluation.run["unet"] = {"path": "unet.pt", "sha256": "c3" * 32, "images_seen": 16000}
    page = shown(evaluation, "provenance")
    for words in ("a1" * 32, "c3" * 32, "b2" * 32, "p2.h5", "2.14.1", "images seen 16000", "3 subject files", "[1, 4]"):
        assert words in page
    assert json.dumps(list(range(60)), indent=2) in shown(evaluation, "provenance", lines=True)


def test_provenance_lists_the_other_networks_that_the_numbers_depend_on(evaluation, shown):
    evaluation.run["files"] = {"lpips_backbone": {"path": "alexnet.pth", "sha256": "d4" * 32}}
    page = shown(evaluation, "provenance")
    assert f"<td>lpips backbone</td><td><code>alexnet.pth</code></td><td><code>{'d4' * 32}</code></td>" in page


def test_provenance_without_records_is_noted(evaluation, shown):
    for name in ("weights", "unet", "data", "configuration", "software"):
        evaluation.run.pop(name)
    page = shown(evaluation, "provenance")
    assert "no record" in page and "0 subject files" in page


def test_the_protocols_explain_the_weaknesses_of_the_papers(evaluation, shown):
    page = shown(evaluation, "protocols")
    assert "What is wrong with it" in page and "Strict protocol" in page


def test_the_protocols_say_which_slices_count_in_super_resolution(evaluation, shown):
    strict, paper = shown(evaluation, "protocols").split("<h3>")[1:3]
    assert "only in slices that lie between those of the input" in strict
    assert "in super-resolution the slices that were given count" in paper
