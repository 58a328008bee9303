"""Write the shared parts of the bundles: the wiring of bundles/unified, and the READMEs from one template.

    python tools/sync_bundles.py            # after a change of unified, of a shared file, of the template or of results
    python tools/sync_bundles.py --check    # only name the files that differ

A bundle's own are the values of train.json and inference.json (all above "imports"), the overlays of its data sets and
the descriptions in metadata.json. Its docs/README.md is made from bundle_readme.md.j2, the bundle's part of
bundle_readme.toml and the results in its metadata.json.
"""

import json
import logging
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unicoal_components.command_line import run_command
from unicoal_components.files.atomic import atomic_path

logger = logging.getLogger("sync_bundles")

HOME = "unified"
OTHERS = ("cms", "sr", "cmsr")
SAME_FILES = (
    "LICENSE",
    "configs/evaluate.json",
    "configs/logging.conf",
    "configs/multi_gpu_evaluate.json",
    "configs/multi_gpu_train.json",
    "configs/paper.json",
    "scripts/__init__.py",
)
SAME_WIRING = ("configs/train.json", "configs/inference.json")
METADATA = "configs/metadata.json"
README = "docs/README.md"
TEMPLATE = Path(__file__).with_name("bundle_readme.md.j2")
README_VALUES = Path(__file__).with_name("bundle_readme.toml")
RESULT = re.compile(r"(?P<source>\w+)_to_(?P<target>\w+)_x(?P<factor>[\d.]+)_psnr")
OWN_METADATA = (
    "version",
    "changelog",
    "name",
    "task",
    "description",
    "data_source",
    "image_classes",
    "eval_metrics",
    "network_data_format",
)

Config = dict[str, Any]


def sync_bundles(*, check: bool = False, bundles: str = "bundles") -> None:
    """Write the shared parts of unified into cms, sr and cmsr, and the README of all four.

    Args:
        check: write nothing; exit status 1 if something differs.
        bundles: folder of the four bundles.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    differing = [(path, text) for path, text in shared_texts(Path(bundles)) if text != text_or_none(path)]
    if check and differing:
        names = ", ".join(str(path) for path, _ in differing)
        raise ValueError(
            f"not as in {Path(bundles) / HOME} (READMEs: not as from {TEMPLATE.name}): {names}. "
            "Run: python tools/sync_bundles.py"
        )
    for path, text in differing:
        with atomic_path(path) as partial:
            partial.write_text(text, encoding="utf-8")
        logger.info("wrote %s", path)
    if not differing:
        logger.info("%s share what they must with %s", ", ".join(OTHERS), HOME)


def shared_texts(bundles: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that is not a bundle's own, with the text that it must have.

    Raises:
        FileNotFoundError: a file that holds a bundle's own values is not there.
        ValueError: its values are not named, or not ordered, as unified's.
    """
    for name in (HOME, *OTHERS):
        yield from shared_texts_of(bundles, name)


def shared_texts_of(bundles: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield those of one bundle, see `shared_texts`; unified's own are all but the README."""
    if name != HOME:
        yield from _texts_as_in_home(bundles, name)
    yield bundles / name / README, readme_text(name, _read(bundles / name / METADATA))


def _texts_as_in_home(bundles: Path, name: str) -> Iterator[tuple[Path, str]]:
    for file in SAME_FILES:
        yield bundles / name / file, (bundles / HOME / file).read_text(encoding="utf-8")
    for file in SAME_WIRING:
        yield bundles / name / file, text_of(with_wiring(bundles / name / file, bundles / HOME / file))
    yield bundles / name / METADATA, text_of(with_metadata(bundles / name / METADATA, bundles / HOME / METADATA))


def text_or_none(path: Path) -> str | None:
    """Return the text of a file, None where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else None


def text_of(config: Config) -> str:
    """Return the canonical JSON of a config."""
    return json.dumps(config, indent=4) + "\n"


def with_wiring(path: Path, home: Path) -> Config:
    """Return a bundle's own values, followed by unified's wiring."""
    values, (known, wiring) = _split(path)[0], _split(home)
    if list(values) != list(known):
        differing = sorted(values.keys() ^ known.keys())
        how = f"not both have {', '.join(differing)}" if differing else "the order differs"
        raise ValueError(
            f"the values above 'imports' in '{path}' are not named as in '{home}': {how}. Give both files the same "
            "names in the same order."
        )
    return values | wiring


def with_metadata(path: Path, home: Path) -> Config:
    """Return unified's metadata with a bundle's own descriptions."""
    own, shared = _read(path), _read(home)
    missing = [key for key in OWN_METADATA if key not in own]
    if missing:
        raise ValueError(f"'{path}' lacks {', '.join(missing)}; write what holds for this bundle.")
    return shared | {key: own[key] for key in OWN_METADATA}


def readme_text(name: str, metadata: Mapping[str, Any]) -> str:
    """Return the README of a bundle.

    Args:
        name: the bundle, such as "sr".
        metadata: content of its metadata.json; the results in it are used.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = {"finetune": None} | tomllib.loads(README_VALUES.read_text(encoding="utf-8"))[name]
    results = [row for key in metadata["eval_metrics"] if (row := _result(key, metadata["eval_metrics"]))]
    return environment.get_template(TEMPLATE.name).render(
        task=name,
        within=[row for row in results if row["source"] == row["target"]],
        across=[row for row in results if row["source"] != row["target"]],
        **values,
    )


def _result(key: str, metrics: Mapping[str, float]) -> dict[str, str] | None:
    """Return a row of the README's tables, or None where the key names no case."""
    case = RESULT.fullmatch(key)
    if case is None:
        return None
    gain = metrics[key.removesuffix("psnr") + "gain"]
    source, target = case["source"].upper(), case["target"].upper()
    return {"source": source, "target": target, "factor": case["factor"]} | {
        "psnr": f"{metrics[key]:.2f}",
        "gain": f"{gain:+.2f}",
    }


def _split(path: Path) -> tuple[Config, Config]:
    """Divide a config into the values and the wiring, which begins at "imports"."""
    config = _read(path)
    if "imports" not in config:
        raise ValueError(f"'{path}' has no key 'imports', at which the wiring begins; restore it from {HOME}'s.")
    place = list(config).index("imports")
    items = list(config.items())
    return dict(items[:place]), dict(items[place:])


def _read(path: Path) -> Config:
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' is not there; copy {HOME}'s and set the values of this bundle.")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_command(sync_bundles)
