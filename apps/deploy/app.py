"""DICOM study in, derived DICOM series out: an application of the MONAI Deploy App SDK.

Run it with `python apps/deploy/app.py --input STUDY --output OUT`; `--help` has the options.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL = "python -m pip install . -r apps/deploy/requirements.txt"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line; a platform gives the folders in environment variables instead."""
    places = os.environ
    parser = argparse.ArgumentParser(prog="app.py", description="DICOM study in, derived DICOM series out.")
    parser.add_argument(
        "-i",
        "--input",
        default=places.get("HOLOSCAN_INPUT_PATH", "input"),
        help="folder of a DICOM study, or 'folder::SeriesInstanceUID' (default: HOLOSCAN_INPUT_PATH, or input)",
    )
    parser.add_argument(
        "-o",
        "--output",
        default=places.get("HOLOSCAN_OUTPUT_PATH", "output"),
        help="folder for the derived series (default: HOLOSCAN_OUTPUT_PATH, or output)",
    )
    parser.add_argument(
        "-m",
        "--model",
        default=places.get("HOLOSCAN_MODEL_PATH", str(HERE.parents[1] / "bundles" / "unified")),
        help="folder of the bundle (default: HOLOSCAN_MODEL_PATH, or bundles/unified of the repository)",
    )
    parser.add_argument(
        "-c",
        "--config",
        default=places.get("HOLOSCAN_CONFIG_PATH", str(HERE / "app.yaml")),
        help="YAML file with the values of the bundle (default: HOLOSCAN_CONFIG_PATH, or app.yaml beside app.py)",
    )
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of the bundle's inference.json on top of the file, such as target_modality=t2; may be repeated",
    )
    parser.add_argument("-l", "--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line of the process; errors are reported as by the other commands, see `report_errors`.

    Raises:
        SystemExit: 2 for wrong usage, 1 in an environment that lacks the SDK or the package.
        ValueError: an option is invalid, or the study cannot be used.
        OSError: a file is missing, or the output cannot be written.
    """
    options = arguments(words)
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "DEBUG" if options.debug else "CRITICAL")  # it repeats our errors
    try:
        from operators import UniCOALApp
        from study import find_bundle, read_values

        from unicoal_components.error_report import report_errors
    except ImportError as error:
        raise SystemExit(f"error: {error}. Make an environment for the app: {INSTALL}") from error
    report_errors(folder=options.output, debug=options.debug)
    logging.basicConfig(level=options.log_level, format="%(message)s")
    values = read_values(options.config, options.set)
    UniCOALApp(study=options.input, output=options.output, bundle=find_bundle(options.model), values=values).run()


if __name__ == "__main__":
    main()
