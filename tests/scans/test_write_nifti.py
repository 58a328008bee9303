import numpy as np
import pytest

from unicoal_components.scans.storage import Storage
from unicoal_components.scans.write_nifti import nifti_storage, stored


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_whole_numbers_are_rounded_and_never_wrap_around(dtype):
    limits = np.iinfo(dtype)
    values = np.array([-1e30, 2.4, 2.6, 1e30])
    low, two, three, high = stored(values, Storage(dtype)).tolist()
    assert (low, two, three) == (limits.min, 2, 3) and limits.max * 0.99 < high <= limits.max


@pytest.mark.parametrize("slope", [0.25, -2.0])
def test_slope_and_intercept_are_undone(slope):
    kept = Storage("int16", slope, 10.0)
    numbers = np.arange(-50, 50)
    np.testing.assert_array_equal(stored(slope * numbers + 10.0, kept), numbers)


@pytest.mark.parametrize(
    ("dtype", "want"), [("int16", "int16"), (">i2", ">i2"), ("float64", "float64"), ("bool", "float32")]
)
def test_a_type_that_nifti_lacks_becomes_float32(dtype, want):
    assert nifti_storage(Storage(dtype)).dtype == want
