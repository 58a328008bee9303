"""The command `unicoal`; each subcommand is imported when it is called."""

import logging
import sys
from collections.abc import Sequence

from cyclopts import App

from .._version import __version__
from ..command_line import new_app, run_app

COMMANDS = {
    "thin": ("synthesize:thin", "Make thin slices from thick ones."),
    "synthesize": ("synthesize:synthesize", "Synthesize scans of other modalities."),
    "view": ("view:view", "Show a result beside its input in a browser."),
    "prepare": ("prepare:prepare", "Turn scans into training data."),
    "simulate": ("simulate:simulate", "Simulate training data, without any scan."),
    "train": ("train:train", "Train a network."),
    "evaluate": ("evaluate:evaluate", "Evaluate a network on held-out subjects."),
    "report": ("report:report", "Write the report of an evaluation again."),
    "export": ("export:export", "Export the network to ONNX, torch.export or TorchScript."),
}
"""Function of each command, `module:name` below this folder, and what the list of commands says about it."""

BUNDLE_COMMANDS = {
    "pack": ("pack:pack", "Pack bundles for sharing."),
}

USAGE = {"thin": "SCAN... [OPTIONS]", "synthesize": "SCAN... --to MODALITY,MODALITY [OPTIONS]"}
"""What follows the names of the commands that take any number of scans."""

HELP = """MR image synthesis and super-resolution: thick slices to thin ones, one modality to another.

```text
unicoal thin thick_t1.nii.gz --spacing 1
unicoal synthesize thick_t1.nii.gz --to t2 --spacing 1
```

`unicoal COMMAND --help` has the options and examples of a command.
"""


def make_app(*, listing: bool = False) -> App:
    """Return the command with its subcommands.

    Args:
        listing: whether the commands get their line of the list, for which they need not be imported; otherwise each
            has its own docstring.
    """
    app = new_app(name="unicoal", version=__version__, help=HELP)
    bundle = new_app(name="bundle", help="Pack the bundles.", version_flags=(), sort_key=len(COMMANDS))
    for parent, commands in ((app, COMMANDS), (bundle, BUNDLE_COMMANDS)):
        for key, (name, (place, line)) in enumerate(commands.items()):
            usage = f"Usage: unicoal {name} {USAGE[name]}" if name in USAGE else None
            shown = line if listing else None
            parent.command(f"{__package__}.{place}", name=name, help=shown, usage=usage, sort_key=key)
    app.command(bundle)
    app.register_install_completion_command(help="Switch on completion in this shell.")
    return app


def is_listing(words: Sequence[str]) -> bool:
    """Return whether words name no command, so that the commands are listed."""
    names = [word for word in words[:2] if not word.startswith("-")]
    return names in ([], ["bundle"])


def main() -> None:
    """Run the command line of the process."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_app(make_app(listing=is_listing(sys.argv[1:])))
