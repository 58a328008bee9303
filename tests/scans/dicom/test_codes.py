import numpy as np
import pytest
from pydicom.sr.codedict import codes
from pydicom.valuerep import DSfloat

from unicoal_components.scans.dicom.codes import code_item, decimal_strings, fit_text


def test_numbers_fit_into_sixteen_characters_with_a_micrometer_to_spare():
    values = np.random.default_rng(0).normal(size=300) * 10.0 ** np.random.default_rng(1).integers(-6, 4, 300)
    texts = decimal_strings(values.tolist())
    assert max(map(len, texts)) <= 16
    np.testing.assert_allclose([float(text) for text in texts], values, atol=1e-8)


def test_numbers_that_fit_stay_as_they_were_written():
    assert decimal_strings([DSfloat("1.500"), DSfloat("+2"), "3e0"]) == ["1.500", "+2", "3e0"]
    assert decimal_strings([DSfloat("0.666666686534882")]) == ["0.66666668653488"]


def test_a_term_is_made_of_value_scheme_and_meaning():
    item = code_item(codes.DCM.ProcessingEquipment)
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("109102", "DCM", "Processing Equipment")


@pytest.mark.parametrize("text", ["x" * 100, "a\\b\nc", "END", "short", "\x00odd\x1b"])
def test_texts_are_one_line_that_fits_and_keep_their_end(text):
    fitted = fit_text(text, 20, keep="END")
    assert len(fitted) <= 20 and fitted.endswith("END") and fitted.count("END") == 1
    assert "\\" not in fitted and fitted.isprintable()
    assert len(fit_text(text, 20)) <= 20
