"""Ways to damage a file, or to craft one that its reader does not expect."""

import gzip
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom

HEADER = 400
"""First bytes of a file, in which numbers are changed."""
NUMBERS = (0, -1, 1, 255, 32767, -32768, 2**31 - 1, -(2**31), 2**40)
TEXTS = ("nan", "inf", "-1", "0", "1e300", "99999999999999999999", "text", "", "../../etc/hostname", "a" * 300)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 1e308, "text", "", [], [1, "a"], {}, {"a": 1}, [[[]]], "x" * 5000)

Random = np.random.Generator


def flip(content: bytes, rng: Random) -> bytes:
    """Flip one to three bits."""
    changed = bytearray(content)
    for at in rng.integers(0, 8 * len(changed), rng.integers(1, 4)):
        changed[at // 8] ^= 1 << int(at % 8)
    return bytes(changed)


def truncate(content: bytes, rng: Random) -> bytes:
    """Keep the beginning."""
    return content[: int(rng.integers(0, len(content)))]


def block(content: bytes, rng: Random) -> bytes:
    """Replace a block by zeros or noise, as a bad sector does."""
    start, size = int(rng.integers(0, len(content))), int(2 ** rng.integers(3, 10))
    size = min(size, len(content) - start)
    new = bytes(size) if rng.random() < 0.5 else rng.bytes(size)
    return content[:start] + new + content[start + size :]


def number(content: bytes, rng: Random) -> bytes:
    """Write an extreme number somewhere into the first bytes."""
    kind = str(rng.choice([">i2", "<i2", ">i4", "<i4", "<f4", ">f4", "<f8"]))
    value = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e30]) if "f" in kind else rng.choice(NUMBERS)
    if "i" in kind:
        value = int(value) & (2 ** (8 * int(kind[2])) - 1)
        kind = kind.replace("i", "u")
    new = np.array(value).astype(kind).tobytes()
    start = int(rng.integers(0, min(HEADER, len(content))))
    return content[:start] + new + content[start + len(new) :]


def word(content: bytes, rng: Random) -> bytes:
    """Replace a word or number of a text."""
    found = list(re.finditer(rb"[\w.+-]+", content[:4000]))
    if not found:
        return flip(content, rng)
    match = found[int(rng.integers(len(found)))]
    return content[: match.start()] + str(rng.choice(TEXTS)).encode() + content[match.end() :]


def json_value(content: bytes, rng: Random) -> bytes:
    """Replace a value of a JSON text, at any depth, or nest it deeply."""
    if rng.random() < 0.05:
        return b"[" * 100_000
    root = {"": json.loads(content)}
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [root]
    while stack:
        here = stack.pop()
        for key, value in here.items() if isinstance(here, dict) else enumerate(here):
            places.append((here, key))
            stack += [value] if isinstance(value, dict | list) else []
    parent, key = places[int(rng.integers(len(places)))]
    parent[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(root[""]).encode()


def dicom_element(path: Path, rng: Random) -> None:
    """Give an element of a DICOM file, also of its functional groups, a value of another kind, or remove it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = pydicom.dcmread(path)
        places = [(dataset, element) for dataset in _datasets(whole) for element in dataset if element.keyword]
        dataset, element = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2:
            del dataset[element.tag]
        elif element.VR == "SQ":
            element.value = []
        elif element.VR in ("US", "UL", "SS", "FD", "FL"):
            values = [0, 1, 65535, [1, 2], None]
            element.value = values[int(rng.integers(len(values)))]
        else:
            kinds = ["LO", "US", "UN"] if rng.random() < 0.3 else [element.VR]
            texts = [*TEXTS, "1\\2", "\\", "1\\a\\3", "1e400"]
            text = texts[int(rng.integers(len(texts)))].encode()
            kind = str(rng.choice(kinds))
            raw = pydicom.dataelem.RawDataElement(element.tag, kind, len(text), text, 0, False, True)
            dataset._dict[element.tag] = raw  # as read from a file: the value is not checked
        whole.save_as(path)


def _datasets(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    inner = [item for element in dataset if element.VR == "SQ" for item in element.value]
    return [dataset, *(one for item in inner for one in _datasets(item))]


def hdf5_item(path: Path, rng: Random) -> None:
    """Change an attribute of an HDF5 file, or replace a dataset by another or by one in another file."""
    with h5py.File(path, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda name, item: items.append(item))
        item = items[int(rng.integers(len(items)))]
        names = list(item.attrs)
        if names and rng.random() < 0.6:
            name = names[int(rng.integers(len(names)))]
            del item.attrs[name]
            values = [np.nan, -1, 0, "text", [1.0, 2.0], np.zeros((2, 2)), h5py.Empty("f"), [b"a", b"b"], 1e300]
            if rng.random() < 0.8:
                item.attrs[name] = values[int(rng.integers(len(values)))]
        elif isinstance(item, h5py.Dataset):
            parent, name = item.parent, item.name.rsplit("/", 1)[1]
            attributes = dict(item.attrs)
            del parent[name]
            choice = int(rng.integers(6))
            if choice == 0:
                parent[name] = h5py.ExternalLink("/etc/hostname", "/")
            elif choice == 1:
                parent[name] = h5py.SoftLink("/elsewhere")
            elif choice == 2:
                parent.create_dataset(name, (10, 14, 12), np.uint8, external=[("/etc/hostname", 0, 1680)])
            elif choice == 3:
                shape = tuple(int(size) for size in rng.choice([1, 10, 5000], 3))
                parent.create_dataset(name, shape, np.uint8, chunks=(1, 1, 1), compression="gzip")
            elif choice == 4:
                parent[name] = "text"
            else:
                parent[name] = np.full((10, 14, 12), np.nan)
            if choice > 1:
                parent[name].attrs.update(attributes)


def changed(path: Path, packed: bool, rng: Random) -> str:
    """Change a file in one way; return the name of the change."""
    content = path.read_bytes()
    ways: list[Callable[[bytes, Random], bytes]] = [flip, flip, truncate, block, number]
    if path.suffix in (".mha", ".nrrd"):
        ways += [word, word]
    elif path.suffix == ".json":
        ways = [flip, truncate, word, json_value, json_value, json_value]
    elif path.suffix in (".dcm", ".h5", ".mnc") and rng.random() < 0.4 and not content.startswith(b"CDF"):
        way = dicom_element if path.suffix == ".dcm" else hdf5_item
        try:
            way(path, rng)
            return way.__name__
        except Exception:  # the library does not write what was asked for
            path.write_bytes(content)
    way_of_bytes = ways[int(rng.integers(len(ways)))]
    if packed:
        path.write_bytes(gzip.compress(way_of_bytes(gzip.decompress(content), rng)))
    else:
        path.write_bytes(way_of_bytes(content, rng))
    return way_of_bytes.__name__
