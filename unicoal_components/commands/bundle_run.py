"""A run of a bundle in this process, and the `python -m monai.bundle run` command that does the same."""

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..interruption import importing
from ..typed_values import PATHS, literal

MONAI_LOGGERS = ("monai.bundle.scripts", "monai.bundle.workflows", "ignite.engine.engine")


class Expression(str):
    """Value that MONAI evaluates, such as `$torch.device('cpu')`; other words are taken literally."""


@dataclass(frozen=True)
class BundleRun:
    """A run of a bundle.

    Attributes:
        configs: config file and overlays.
        values: values of the config by name; words are literal unless they are an `Expression`.
    """

    configs: Sequence[Path]
    values: Mapping[str, Any]

    def command(self) -> str:
        """Return the shell command of this run."""
        files = [str(path) for path in self.configs]
        words = ["python", "-m", "monai.bundle", "run", "--config_file", _typed(files[0] if len(files) == 1 else files)]
        for name, value in self.values.items():
            typed = _typed_path(value) if name in PATHS else _typed(for_monai(value))
            words += [f"--{name}={typed}"] if typed.startswith("-") else [f"--{name}", typed]
        return shlex.join(words)

    def workflow(self) -> Any:
        """Return the initialized `ConfigWorkflow` of this run."""
        os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
        with importing():
            from monai.bundle import create_workflow

        for name in MONAI_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="parsing config_file")
            files = [str(path) for path in self.configs]
            importable(Path(files[0]).absolute().parents[1])
            values = {name: for_monai(value) for name, value in self.values.items()}
            return create_workflow(config_file=files, logging_file=False, **values)

    def run(self) -> None:
        """Run the bundle."""
        workflow = self.workflow()
        workflow.run()
        workflow.finalize()

    def run_or_show(self, show: bool) -> None:
        """Run the bundle, or print the command that does so."""
        if show:
            sys.stdout.write(self.command() + "\n")
        else:
            self.run()


def importable(bundle: Path) -> None:
    """Let configs find the `scripts` of their bundle, also after those of another one or of the working directory."""
    loaded = sys.modules.get("scripts")
    folder = None if loaded is None else next(iter(loaded.__path__), None)
    if folder is None or Path(folder).resolve() != (bundle / "scripts").resolve():
        for name in [name for name in sys.modules if name.partition(".")[0] == "scripts"]:
            del sys.modules[name]
    sys.path[:] = [str(bundle), *(path for path in sys.path if path != str(bundle))]


def for_monai(value: Any) -> Any:
    r"""Return a value that MONAI's config parser takes literally.

    Example:
        >>> for_monai("scan#1.nii"), for_monai(["$x", "a"]), for_monai(Expression("$1 + 1"))
        ("$'scan\\x231.nii'", ["$'\\x24x'", 'a'], '$1 + 1')
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str | os.PathLike):
        return literal(os.fspath(value))
    if isinstance(value, list | tuple):
        return [for_monai(item) for item in value]
    return value


def typed_value(word: str) -> Any:
    """Return what `python -m monai.bundle run` understands a word of its command line as."""
    from fire.parser import DefaultParseValue

    value = DefaultParseValue(word)
    return Expression(value) if isinstance(value, str) else value


def _typed_path(value: Any) -> str:
    """Return the word for a path or a list of paths, which the bundles take as it is typed."""
    return repr([os.fspath(path) for path in value]) if isinstance(value, list | tuple) else os.fspath(value)


def _typed(value: Any) -> str:
    """Return the word that monai.bundle's command line understands as this value."""
    if not isinstance(value, str):
        return repr(value)
    understood = typed_value(value)
    return value if isinstance(understood, str) and understood == value else repr(value)
