"""DICOM series: found, read, and written as derived series."""
