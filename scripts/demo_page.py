"""Write the page of the demo, with its explanation, pictures and links to its files.

python scripts/demo_page.py --folder demo_output
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import html
from pathlib import Path

from unicoal_components.command_line import run_command
from unicoal_components.files.atomic import atomic_path

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A thick scan in, thin scans out</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
img {{ max-width: 100%; }}
h2 {{ margin-top: 3rem; }}
</style>
<h1>A thick scan in, thin scans out</h1>
<p>T1-weighted scans with slices four times too thick went through <code>bundles/unified</code> with the weights it
ships. Every picture shows the thick input, its cubic interpolation, what the network made, the truth and the error
where the truth is known, and the error that the network itself expects, on the same scale. The rows are an axial, a
coronal and a sagittal slice; the last two cut across the slices. No head was in the training. <em>person</em> is
simulated from the tissue maps of the MNI152 template that nilearn ships; <em>mni152</em> is that template, the average
of 152 subjects, which is smoother than any scan.</p>
{pictures}
<h2>Files</h2>
<p>Open them in any viewer; next to each result is a .json file that records how it was made.</p>
<ul>
{files}
</ul>
</html>
"""


def demo_page(*, folder: str) -> None:
    """Write `index.html`.

    Args:
        folder: folder of the demo, with its pictures `*.png` and its scans.

    Raises:
        FileNotFoundError: there is no picture in the folder.
    """
    root = Path(folder)
    pictures = sorted(root.glob("*.png"))
    if not pictures:
        raise FileNotFoundError(f"there is no picture (*.png) in {root}; run scripts/demo.sh")
    shown = "\n".join(
        f'<h2>{html.escape(path.stem.replace("_", " "))}</h2>\n<img src="{html.escape(path.name)}" '
        f'alt="{html.escape(path.stem.replace("_", " "))}">'
        for path in pictures
    )
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.nii.gz"))
    links = "\n".join(f'<li><a href="{html.escape(name)}">{html.escape(name)}</a></li>' for name in names)
    with atomic_path(root / "index.html") as partial:
        partial.write_text(PAGE.format(pictures=shown, files=links), encoding="utf-8")


if __name__ == "__main__":
    run_command(demo_page)
