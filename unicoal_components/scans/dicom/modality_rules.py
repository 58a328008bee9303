"""Rules that guess the modality of a scan from its header or file name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def _words(text: str) -> frozenset[str]:
    """Return the words of a text separated by white space."""
    return frozenset(text.split())


OTHER = "other"
"""Modality other than t1, t1c, t2, pd and flair, according to the words: no further guess."""

NOT_ANATOMY = _words(
    """
    adc dwi dti diff diffusion trace tracew fa colfa md tensor perf perfusion pwi dsc dce cbf cbv rcbf rcbv mtt ttp tmax
    asl pcasl pasl m0 swi swan qsm minip mip mra mrv tof angio angiography venogram venography phase pha localizer
    localiser locator loc scout aahscout survey calibration cal asset fieldmap fmap shim b1 map maps mapit rho star
    hemo bold fmri epi spectroscopy mrs csi svs mtr stir psir dir uni subtraction subtracted subtract sub projection
    seg dseg mask brainmask lesion lesions label labels report dose screenshot secondary
    """
)
COMPLEX_PARTS = {"P": "a phase image", "R": "a real part", "I": "an imaginary part"}
"""Values of ImageType and ComplexImageComponent, by their first letter, of images that are not magnitudes."""

SUSCEPTIBLE = frozenset({"gre", "ffe", "fl2d", "fl3d", "fgre", "medic", "merge"})
"""Words that, together with "t2", mean T2*, another contrast."""
T1_SEQUENCES = frozenset({"mprage", "spgr", "fspgr", "bravo", "vibe"})
AGENTS = _words(
    """
    gd gad gado gadolinium ce t1ce contrast postcontrast postgd postgad km kontrast kontrastmittel mdc enhanced cplus
    dotarem gadovist magnevist multihance omniscan prohance
    """
)
PLAIN = _words("pre precontrast native nativ without non no wo ohne unenhanced noncontrast plain none")
NO_AGENT = PLAIN | {"n", "na", "0", "false", "off", "unknown"}
AFTER_SURGERY = _words("op operative surgery surgical treatment rt resection processing processed")

_WEIGHTED = re.compile(r"^(?:wip|2d|3d|ax|sag|cor|tra|pre|post|ce)?t([12])(?![0-9])(.*)$")
_PROTON = re.compile(r"^(?:2d|3d|ax|sag|cor|tra)?(?:pd(?:wi|w)?|protondensity)((?:fs|tse|fse|t2)?)$")
_FLAIR = re.compile(r"^(?:2d|3d|ax|sag|cor|tra)?flair(?:w|se)?$")
_VERTEBRA = re.compile(r"^t(?:[3-9]|1[0-2])$")
_ECHO_PLANAR = re.compile(r"^ep(?:[23]d|fid|se|i)?[0-9]*d?[0-9]*$")


def guess_modality(
    *,
    description: str = "",
    scanning_sequence: Iterable[str] = (),
    image_type: Iterable[str] = (),
    repetition_time: float | None = None,
    echo_time: float | None = None,
    inversion_time: float | None = None,
    contrast_agent: str | None = None,
) -> str | None:
    """Guess the modality; words take precedence over numbers, and `None` means unsure.

    The guess chooses among series and causes warnings, so it is conservative: maps, diffusion, angiographies,
    localizers, T2*, and descriptions with two modalities ("PD/T2") give `None`, unless the times decide.

    Args:
        description: free text, such as SeriesDescription or a file name.
        scanning_sequence: DICOM codes such as "SE", "GR", "IR", "EP"; without them, times identify only FLAIR and
            MPRAGE.
        image_type: DICOM codes such as "ORIGINAL", "PRIMARY", "ADC".
        repetition_time: in ms.
        echo_time: in ms.
        inversion_time: in ms; 0 and `None` mean no inversion.
        contrast_agent: ContrastBolusAgent; "", "none" and the like mean none.

    Returns:
        "t1", "t1c" (with contrast agent), "t2", "pd", "flair", or `None`.

    Example:
        >>> guess_modality(description="t2_tirm_tra_dark-fluid"), guess_modality(description="AX T1 POST GD")
        ('flair', 't1c')
        >>> guess_modality(scanning_sequence=["SE"], repetition_time=4000, echo_time=100)
        't2'
    """
    if other_type(image_type) is not None or "EP" in {str(code).upper() for code in scanning_sequence}:
        return None
    words = modality_of_words(description)
    if words is None:
        words = _modality_of_times(
            {str(code).upper() for code in scanning_sequence}, repetition_time, echo_time, inversion_time
        )
    agent = str(contrast_agent or "").strip().lower()
    if words == "t1" and agent and agent not in NO_AGENT and not PLAIN & set(_tokens(description)):
        return "t1c"
    return None if words == OTHER else words


def other_type(image_type: Iterable[str]) -> str | None:
    """Return the value of ImageType by which an image is a map, a projection or the like, not an anatomical image.

    Example:
        >>> other_type(["DERIVED", "SECONDARY", "ADC"]), other_type(["ORIGINAL", "PRIMARY", "M", "ND"])
        ('ADC', None)
    """
    others = NOT_ANATOMY - {"secondary"}
    return next((str(code) for code in image_type if others & set(_tokens(str(code)))), None)


def complex_part(header: Mapping[str, Any] | Any) -> str | None:
    """Return which part of the complex signal an image shows, if it is not the magnitude.

    Example:
        >>> complex_part({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}), complex_part({"ImageType": "ORIGINAL"})
        ('a phase image', None)
    """
    codes = [*_codes(header.get("ImageType"))[2:], *_codes(header.get("ComplexImageComponent"))]
    names = {"PHASE": "P", "REAL": "R", "IMAGINARY": "I"}
    found = [names.get(code.upper(), code.upper()) for code in codes]
    return next((COMPLEX_PARTS[code] for code in found if code in COMPLEX_PARTS), None)


def type_warning(header: Mapping[str, Any] | Any) -> str | None:
    """Return a warning, a clause, about an image that is no anatomical magnitude image; `None` if it seems to be one.

    Args:
        header: pydicom dataset or mapping by DICOM keyword.
    """
    part = complex_part(header)
    if part is not None:
        return f"it is {part}, not a magnitude image; results from it are meaningless"
    other = other_type(_codes(header.get("ImageType")))
    return None if other is None else f"its ImageType names {other}, no anatomical image; results are meaningless"


def modality_of_header(header: Mapping[str, Any] | Any, *, seconds: bool = False) -> str | None:
    """Guess the modality from a pydicom dataset or a BIDS sidecar.

    SeriesDescription, ProtocolName and SequenceName are read in this order; the first with a known word decides.

    Args:
        header: pydicom dataset or mapping by DICOM keyword.
        seconds: whether times are in seconds, as in BIDS sidecars, rather than in ms.

    Example:
        >>> modality_of_header({"SeriesDescription": "", "ProtocolName": "T1 MPRAGE"})
        't1'
    """
    if complex_part(header) is not None:
        return None
    texts = [str(header.get(name) or "") for name in ("SeriesDescription", "ProtocolName", "SequenceName")]
    description = next((text for text in texts if modality_of_words(text) is not None), "")
    scale = 1000.0 if seconds else 1.0
    times = [_number(header.get(name)) for name in ("RepetitionTime", "EchoTime", "InversionTime")]
    repetition, echo, inversion = (None if time is None else time * scale for time in times)
    return guess_modality(
        description=description,
        scanning_sequence=_codes(header.get("ScanningSequence")),
        image_type=_codes(header.get("ImageType")),
        repetition_time=repetition,
        echo_time=echo,
        inversion_time=inversion,
        contrast_agent=str(header.get("ContrastBolusAgent") or ""),
    )


def modality_of_name(name: str) -> str | None:
    """Guess the modality from the whole words of a file name, without its folders; a BIDS suffix takes precedence.

    Example:
        >>> modality_of_name("sub-01_T2w.nii.gz"), modality_of_name("p01.t1ce.nii"), modality_of_name("notes.pdf")
        ('t2', 't1c', None)
    """
    stem = re.sub(r"\bsub-", "", re.sub(r"(\.nii)?\.\w+$", "", Path(name).name))
    suffix = re.search(r"_(T1w|T2w|PDw|FLAIR)$", stem)
    if suffix and suffix[1] != "T1w":
        return {"T2w": "t2", "PDw": "pd", "FLAIR": "flair"}[suffix[1]]
    stem = re.sub(r"(?i)(?<![a-z0-9])t1n(?![a-z0-9])", "t1", stem)  # as named in the BraTS challenges since 2023
    words = modality_of_words(re.sub(r"(?i)(?<![a-z0-9])t2f(?![a-z0-9])", "flair", stem))
    return None if words == OTHER else words


def modality_of_words(text: str) -> str | None:
    """Return the modality named by words, `OTHER` if they name something else, or `None` if they name nothing.

    "T1 FLAIR" is a T1, "T2 FLAIR" and "dark fluid" are FLAIR. "T2 synthesized from T1" is a T2.
    """
    tokens = list(_tokens(re.split(r"(?i)\b(?:synthesi[sz]ed|predicted|derived) from\b", text)[0]))
    words = set(tokens)
    if words & NOT_ANATOMY or any(_ECHO_PLANAR.match(token) for token in tokens):
        return OTHER
    if any(_VERTEBRA.match(token) for token in tokens):
        return None
    named = words & {"t1", "t2", "pd"}
    if "flair" in words or {"dark", "fluid"} <= words or "darkfluid" in words:
        named = {"t1"} if named == {"t1"} else {"flair"} if "t1" not in named else named
    elif not named and words & T1_SEQUENCES:
        named = {"t1"}
    elif named == {"t2"} and words & SUSCEPTIBLE:
        return OTHER
    if named == {"t1"}:
        return _t1_or_t1c(tokens)
    return named.pop() if len(named) == 1 else None


def _t1_or_t1c(tokens: list[str]) -> str:
    """Return "t1c" if an agent is named, "t1" if none is named or it is negated, `OTHER` for "pre and post"."""
    after = any(a == "post" and b not in AFTER_SURGERY for a, b in zip(tokens, [*tokens[1:], ""], strict=True))
    plain = bool(PLAIN & set(tokens))
    if plain and after:
        return OTHER
    return "t1c" if not plain and (after or AGENTS & set(tokens)) else "t1"


def _tokens(text: str) -> Iterator[str]:
    """Yield lower-case words; t1, t2, pd and flair are split from attached letters ("T2wTSE" → t2, tse)."""
    text = re.sub(r"t2\s?\*", "t2star", text.lower())
    text = re.sub(r"\+\s*(c|gd|gad|km|ce)(?![a-z])", " cplus ", text).replace("mp-rage", "mprage")
    text = text.replace("proton density", "protondensity").replace("proton_density", "protondensity")
    for token in re.findall(r"[a-z0-9]+", text.replace("w/o", "without").replace("post-op", "postop")):
        weighted, proton = _WEIGHTED.match(token), _PROTON.match(token)
        if weighted:
            yield f"t{weighted[1]}"
            rest = re.sub(r"^(?:weighted|wi|w)", "", weighted[2])
            yield from ["cplus"] if rest == "c" else ["flair"] if _FLAIR.match(rest) else [rest] if rest else []
            yield from (word for word in ("post", "pre", "ce") if token.startswith(word))
        elif proton:
            yield from ["pd", "t2"] if proton[1] == "t2" else ["pd"]
        else:
            yield "flair" if _FLAIR.match(token) else token


def _modality_of_times(sequence: set[str], tr: float | None, te: float | None, ti: float | None) -> str | None:
    """Return the modality if repetition, echo and inversion time in ms are unambiguous (spin echo, FLAIR, MPRAGE)."""
    if tr is None or te is None:
        return None
    if ti:
        if ti >= 1400 and tr >= 4000 and te >= 60:
            return "flair"
        return "t1" if 600 <= ti <= 1300 and 1000 <= tr <= 3000 and te <= 10 and "SE" not in sequence else None
    if "SE" not in sequence or sequence & {"GR", "IR"}:
        return None
    if tr <= 900:
        return "t1" if te <= 30 else None
    return None if tr < 2000 else "t2" if te >= 70 else "pd" if te <= 35 else None


def _codes(value: Any) -> list[str]:
    """Return the codes of a DICOM element as a list, given one, several or none."""
    if value is None or isinstance(value, str):
        return re.split(r"[\\_ ]", value) if value else []
    return [str(code) for code in value] if isinstance(value, Iterable) else [str(value)]


def _number(value: Any) -> float | None:
    """Return a value as a number, or `None` if it is not one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
