"""The command `unicoal`; each subcommand is imported when it is called."""

import logging
import sys

from cyclopts import App

from .._version import __version__
from ..command_line import new_app, run_app

COMMANDS = {
    "synthesize": ("synthesize:synthesize", "Synthesize scans of other modalities."),
    "thin": ("synthesize:thin", "Make thin slices from thick ones."),
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
    bundle = new_app(name="bundle", help="The bundles of this package.", version_flags=())
    for parent, commands in ((app, COMMANDS), (bundle, BUNDLE_COMMANDS)):
        for name, (place, line) in commands.items():
            parent.command(f"{__package__}.{place}", name=name, help=line if listing else None)
    app.command(bundle)
    app.register_install_completion_command(help="Switch on completion in this shell.")
    return app


def main() -> None:
    """Run the command line of the process."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:]
    run_app(make_app(listing=not words or words[0].startswith("-")))
