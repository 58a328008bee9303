"""Record of an evaluation."""

import json

from unicoal_components.evaluation.evaluation_record import EvaluationRecord
from unicoal_components.scans.checksums import sha256_of


def test_files_that_the_numbers_depend_on_are_written_with_their_checksums(tmp_path):
    segmenter = tmp_path / "net.ts"
    segmenter.write_text("weights")
    record = EvaluationRecord(files={"segmenter": segmenter, "lpips_backbone": None})
    record.write(tmp_path / "run.json", methods=["ours"], columns=[], notes={}, data=[], left_out=[])
    files = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["files"]
    assert files == {"segmenter": {"path": str(segmenter), "sha256": sha256_of(segmenter)}}
