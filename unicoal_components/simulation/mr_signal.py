"""MR signal equations: spin echo, inversion recovery, spoiled gradient echo and MPRAGE."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def spin_echo(
    pd: FloatArray | float, t1: FloatArray | float, t2: FloatArray | float, *, tr: float, te: float
) -> FloatArray:
    """Compute the spin-echo signal S = PD (1 - exp(-TR / T1)) exp(-TE / T2).

    Args:
        pd: proton density; broadcasts with `t1` and `t2`.
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms.
        tr: repetition time in ms.
        te: echo time in ms.

    Returns:
        The signal in units of `pd`, with the broadcast shape of `pd`, `t1` and `t2`.

    Example:
        >>> round(float(spin_echo(1.0, 500.0, 100.0, tr=1e9, te=100.0)), 4)
        0.3679
    """
    return np.asarray(pd * (1.0 - np.exp(-tr / np.asarray(t1))) * np.exp(-te / np.asarray(t2)))


def inversion_recovery(
    pd: FloatArray | float, t1: FloatArray | float, t2: FloatArray | float, *, tr: float, te: float, ti: float
) -> FloatArray:
    """Compute the magnitude inversion-recovery signal, S = |PD (1 - 2 exp(-TI / T1) + exp(-TR / T1)) exp(-TE / T2)|.

    Args:
        pd: proton density; broadcasts with `t1` and `t2`.
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms.
        tr: repetition time in ms.
        te: echo time in ms.
        ti: inversion time in ms.

    Returns:
        The signal in units of `pd`, with the broadcast shape of `pd`, `t1` and `t2`.

    Example:
        >>> round(float(inversion_recovery(1.0, 1000.0, 100.0, tr=1e9, te=0.0, ti=1000 * np.log(2))), 4)
        0.0
    """
    t1 = np.asarray(t1)
    return np.abs(pd * (1.0 - 2.0 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / np.asarray(t2)))


def gradient_echo(
    pd: FloatArray | float, t1: FloatArray | float, t2: FloatArray | float, *, tr: float, te: float, flip: float
) -> FloatArray:
    """Compute the spoiled gradient-echo signal, S = PD sin(flip) (1 - E) / (1 - E cos(flip)) exp(-TE / T2).

    E = exp(-TR / T1) (Ernst and Anderson, Rev Sci Instrum 37:93, 1966). T2 is used as T2*: at the TE of a few ms
    of T1-weighted scans the signals differ by a few percent.

    Args:
        pd: proton density; broadcasts with `t1` and `t2`.
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms, used as T2*.
        tr: repetition time in ms.
        te: echo time in ms.
        flip: flip angle in degrees.

    Returns:
        The signal in units of `pd`, with the broadcast shape of `pd`, `t1` and `t2`.

    Example:
        >>> round(float(gradient_echo(1.0, 1000.0, 100.0, tr=1e9, te=0.0, flip=30.0)), 4)
        0.5
    """
    angle = np.deg2rad(flip)
    decay = np.exp(-tr / np.asarray(t1))
    return np.asarray(pd * np.sin(angle) * (1 - decay) / (1 - decay * np.cos(angle)) * np.exp(-te / np.asarray(t2)))


def mprage(
    pd: FloatArray | float,
    t1: FloatArray | float,
    t2: FloatArray | float,
    *,
    tr: float,
    te: float,
    ti: float,
    flip: float,
    echo_spacing: float = 7.0,
    echoes: int = 176,
    efficiency: float = 0.96,
) -> FloatArray:
    """Compute the magnitude MPRAGE signal at the center of k-space, in the steady state of many inversions.

    The magnetization is inverted, recovers, is read out by a train of small flips and recovers again until the next
    inversion, TR after the first (Mugler and Brookeman, MRM 15:152, 1990). The equations are those of one readout train
    in Marques et al., NeuroImage 49:1271, 2010: with e(t) = exp(-t / T1) and c = e(echo_spacing) cos(flip), a flip and
    its recovery take M to c M + 1 - e(echo_spacing), and the steady state is the M before the inversion that returns.

    Args:
        pd: proton density; broadcasts with `t1` and `t2`.
        t1: longitudinal relaxation time in ms.
        t2: transverse relaxation time in ms, used as T2*.
        tr: time between inversions in ms.
        te: echo time in ms.
        ti: time from the inversion to the middle of the train in ms.
        flip: flip angle in degrees.
        echo_spacing: time between flips in ms.
        echoes: number of flips in a train.
        efficiency: efficiency of the inversion, in [0, 1]; 0.96 after Marques 2010.

    Returns:
        The signal in units of `pd`, with the broadcast shape of `pd`, `t1` and `t2`.

    Raises:
        ValueError: the train does not fit between two inversions.

    Example:
        >>> white, gray = mprage(0.7, [810.0, 1350.0], 80.0, tr=2300.0, te=3.0, ti=900.0, flip=9.0)
        >>> bool(white > 1.4 * gray)
        True
    """
    half = echoes / 2 * echo_spacing
    before, after = ti - half, tr - ti - half
    if before < 0 or after < 0:
        raise ValueError(
            f"a train of {echoes} echoes, {echo_spacing:g} ms apart, around ti = {ti:g} ms does not fit into tr = "
            f"{tr:g} ms; ti must be at least {half:g} ms and tr at least ti + {half:g} ms."
        )
    t1 = np.asarray(t1, dtype=np.float64)
    decay_before, decay_after, decay_echo = (np.exp(-time / t1) for time in (before, after, echo_spacing))
    kept = decay_echo * np.cos(np.deg2rad(flip))
    driven = (1 - decay_echo) / (1 - kept)  # steady state of the train alone
    # One cycle is linear in the magnetization M before the inversion: M -> gain M + offset.
    offset = ((1 - decay_before) * kept**echoes + driven * (1 - kept**echoes)) * decay_after + 1 - decay_after
    gain = -efficiency * decay_before * kept**echoes * decay_after
    start = 1 - decay_before - efficiency * decay_before * offset / (1 - gain)
    center = start * kept ** (echoes / 2) + driven * (1 - kept ** (echoes / 2))
    return np.abs(pd * np.sin(np.deg2rad(flip)) * center * np.exp(-te / np.asarray(t2)))
