"""Check bundles as MONAI, the model zoo and this repository do, and print a table.

    python tools/verify_bundles.py [--bundles cms,sr] [--checks "properties*,onnx"] [--output FILE.json]
    python tools/verify_bundles.py --path unified    # a packed bundle's folder

A check that fails does not stop the others; what was wrong stands below the table, and the exit status is 1. The
checks, all on the CPU and without a download:

    files, json, metadata, versions     what must be there, and how it is written
    overlays                            each key of an overlay exists in its base
    shared                              the wiring is unified's, the README the template's (not for a packed bundle)
    properties_*                        MONAI's check_properties with every overlay
    shapes                              MONAI's verify_net_in_out
    metrics, weights                    results are told if there are weights; they fit, and are small
    torchscript                         ckpt_export, as the zoo does it; loaded again and compared with the network
    torch_export                        torch.export without and with conditions, compared
    onnx, onnx_unicoal                  onnx_export and `unicoal export`, run by onnxruntime and compared

Needs: pip install -e .[verify]
"""

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tqdm import tqdm
from verify_checks import CHECKS, Bundle, Skipped, run_check

from unicoal_components.command_line import Words, run_command
from unicoal_components.errors import cause_of
from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.writable import check_writable

BUNDLES = Path(__file__).parents[1] / "bundles"
SIGNS = {"ok": "ok", "skipped": "-", "failed": "FAILED"}

Row = dict[str, Any]


def main(*, bundles: Words = (), path: str = "", checks: Words = (), output: str = "") -> None:
    """Check bundles.

    Args:
        bundles: names separated by commas; all of the repository by default.
        path: folder of a bundle that lies elsewhere, such as a packed one, instead.
        checks: names separated by commas, * stands for anything; all by default.
        output: JSON file for the results.

    Raises:
        ValueError: a check failed, or a name is unknown.
    """
    roots = choose_roots(bundles, path)
    chosen = choose_names(checks, list(CHECKS), field="checks")
    if output:
        check_writable(Path(output).absolute().parent)
    logging.disable(logging.CRITICAL)  # MONAI tells every step
    results = {root.absolute().name: verify(root, chosen) for root in roots}
    print(table_of(results))
    if output:
        with atomic_path(output) as partial:
            partial.write_text(json.dumps(results, indent=4) + "\n", encoding="utf-8")
    failed = [f"{name}, {row['check']}: {row['remark']}" for name, rows in results.items() for row in failures(rows)]
    if failed:
        print("\n" + "\n".join(failed) + "\n")
        raise ValueError(f"{len(failed)} of {len(roots) * len(chosen)} checks failed, see above.")


def choose_roots(names: str | Sequence[str], path: str) -> list[Path]:
    """Return the folders of bundles.

    Raises:
        FileNotFoundError: there is no bundle at `path`.
        ValueError: both are given, or a bundle is unknown.
    """
    if path:
        if names:
            raise ValueError(f"bundles is {names!r} and path is '{path}'; give one of them.")
        if not (Path(path) / "configs" / "metadata.json").is_file():
            raise FileNotFoundError(f"path '{path}' is no bundle, it has no configs/metadata.json; give its folder.")
        return [Path(path)]
    known = sorted(found.parents[1].name for found in BUNDLES.glob("*/configs/metadata.json"))
    return [BUNDLES / name for name in choose_names(names, known, field="bundles")]


def choose_names(names: str | Sequence[str], known: Sequence[str], *, field: str) -> list[str]:
    """Return the known names that patterns stand for, without repetition; all if there are no patterns.

    Raises:
        ValueError: a pattern stands for none; the message lists the names.
    """
    patterns = [str(part).strip() for part in (names.split(",") if isinstance(names, str) else names)]
    for pattern in patterns:
        if pattern and not any(fnmatchcase(name, pattern) for name in known):
            raise ValueError(f"{field}: there is no '{pattern}'; there are {', '.join(known)}.")
    return [name for name in known if not any(patterns) or any(fnmatchcase(name, pattern) for pattern in patterns)]


def verify(root: Path, checks: Sequence[str]) -> list[Row]:
    """Run checks on a bundle and return what came of each."""
    with tempfile.TemporaryDirectory(prefix="verify_", ignore_cleanup_errors=True) as folder:
        bundle = Bundle(root=root.absolute(), scratch=Path(folder))
        return [attempt(name, bundle) for name in tqdm(checks, desc=bundle.root.name, unit="check")]


def attempt(name: str, bundle: Bundle) -> Row:
    """Run a check; whatever happens is its result."""
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            remark, result = run_check(name, bundle), "ok"
    except Skipped as reason:
        remark, result = str(reason), "skipped"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a check may fail in any way
        remark, result = cause_of(error) or type(error).__name__, "failed"
    return {"check": name, "result": result, "remark": remark, "seconds": round(time.perf_counter() - begin, 2)}


def failures(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of checks that failed."""
    return [row for row in rows if row["result"] == "failed"]


def table_of(results: Mapping[str, Sequence[Row]]) -> str:
    """Lay out one row a check and one column a bundle."""
    lines = [["check", *results]]
    for rows in zip(*results.values(), strict=True):
        cells = [f"{SIGNS[row['result']]} ({row['seconds']:.1f} s) {_short(row)}".rstrip() for row in rows]
        lines.append([rows[0]["check"], *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _short(row: Row) -> str:
    return "" if row["result"] == "failed" else row["remark"]


if __name__ == "__main__":
    run_command(main)
