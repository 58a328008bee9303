"""Make a thin scan with onnxruntime, numpy and nibabel alone, as the network's file tells in its metadata.

python synthesize.py unicoal.onnx thick_t1.nii.gz thin_t1.nii.gz t1 t1 --factor 4
"""

import argparse
import itertools
import json

import nibabel as nib
import numpy as np
import onnxruntime
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform


def synthesize(network, scan, source, target, factor, thickness=1.0):
    """Return a scan with slices `factor` times closer; thickness is that of the thick slices over their spacing."""
    facts = json.loads(network.get_modelmeta().custom_metadata_map["unicoal"])
    voxels, spacing = scan.get_fdata(dtype=np.float32), nib.affines.voxel_sizes(scan.affine)
    thick = int(np.argmax(spacing))
    is_thick = spacing[thick] > facts["orientation"]["coarser"] * np.delete(spacing, thick).max()
    axis = nib.aff2axcodes(scan.affine)[thick] if is_thick else "S"
    upright, original = axcodes2ornt(facts["orientation"]["axes"][axis]), io_orientation(scan.affine)
    turn, back = ornt_transform(original, upright), ornt_transform(upright, original)
    stack, affine = apply_orientation(voxels, turn).T, scan.affine @ inv_ornt_aff(turn, voxels.shape)  # slices first
    (*pixel, depth), allowed = nib.affines.voxel_sizes(affine), facts["in_plane_spacing"]
    if (abs(pixel / np.clip(pixel, *allowed["range"]) - 1) > allowed["tolerance"]).any():
        raise ValueError(f"pixels of {np.round(pixel, 2)} mm; this example takes {allowed['range']} mm: resample them")
    black, white = np.percentile(voxels[voxels != 0], facts["intensity"]["percentiles"])
    tissue = np.interp(stack, [black, white], [-1, 1]).clip(facts["intensity"]["darkest"])
    seen = np.where(stack == 0, -1, tissue).astype(np.float32)
    unseen = stack - np.interp(seen, [-1, 1], [black, white])
    given = {"source": np.array([facts["modalities"].index(source)], np.int64)}
    given["target"] = np.array([facts["modalities"].index(target)], np.int64)
    given["factor"] = np.array([factor], np.float32)
    given["thickness"] = np.array([np.clip(thickness, *facts["thickness"]["range"])], np.float32)
    images, thin = predict(network, seen, given, facts, factor), []
    (low, high), margin = facts["planes"]["range"], facts["planes"]["margin"]
    if source != target and factor == 1 and low * (1 - margin) <= depth <= high * (1 + margin):
        for axis in (1, 2):
            images = images + np.moveaxis(predict(network, np.moveaxis(seen, axis, 0), given, facts, 1), 0, axis)
        images /= 3
    if source == target and factor > 1:
        images = consistent(images, seen, factor, given["thickness"][0], facts["data_consistency"])
    if source != target and factor > 1:
        weight = min(facts["slice_smoothing"]["strength"] * factor**2, facts["slice_smoothing"]["largest"])
        steps = weight * np.diff(images, axis=0) * (images[1:] > -1) * (images[:-1] > -1)
        images[:-1] += steps
        images[1:] -= steps
    for image, (below, above, position) in zip(images, places(len(stack), factor, facts), strict=True):
        if source == target:  # in the scan's units, with the vessels that are brighter than white
            rest = (1 - position) * unseen[below] + position * unseen[above]
            image = (np.interp(image, [-1, 1], [black, white]) + rest).clip(stack.min(), stack.max())
        else:
            image = np.interp(image, [-1, 1], facts["output"]["another_modality"])
        thin.append(np.where((stack[below] == 0) & (stack[above] == 0), 0, image))
    affine[:, 2] /= factor
    output = apply_orientation(np.array(thin, np.float32).T, back)
    return nib.Nifti1Image(output, affine @ inv_ornt_aff(back, np.shape(thin)[::-1]))


def places(count, factor, facts):
    """Return for each thin slice the thick ones below and above, and the position between them."""
    depths = [n / factor for n in range(round(count * factor))]  # in thick slices
    depths = [round(d) if abs(d - round(d)) < facts["slice_group"]["snap"] else d for d in depths]
    return [(int(d), min(int(np.ceil(d)), count - 1), d % 1) for d in depths]


def predict(network, seen, given, facts, factor):
    """Return the thin slices (K, H, W) in [-1, 1] of thick ones (N, H, W) as the network sees them."""
    half, images = facts["slice_group"]["size"] // 2, []
    padded = np.pad(seen, [(half - 1, half), (0, 0), (0, 0)], constant_values=-1)
    for below, _, position in places(len(seen), factor, facts):
        told = {**given, "position": np.array([position], np.float32)}
        images.append(in_context(network, padded[below : below + 2 * half], told, facts).clip(-1, 1))
    return np.array(images)


def consistent(thin, thick, factor, thickness, facts):
    """Return the thin slices (K, H, W), changed so that their mean over a thick slice (N, H, W) is that slice."""
    width = float(thickness) * factor
    beyond = int(1.5 * width) + 2
    distance = abs(np.arange(-beyond, len(thin) + beyond) - factor * np.arange(len(thick))[:, None])
    box = np.clip((max(width, 1) + 1) / 2 - distance, 0, 1)
    bell = np.exp(-4 * np.log(2) * (distance / width) ** 2) * (distance <= 1.5 * width) if width > 1 else box
    profile = sum(weights / weights.sum(1, keepdims=True) for weights in (box, bell))[:, beyond:-beyond] / 2
    used = profile.sum(1) >= facts["least_inside"]
    profile = profile[used] / profile[used].sum(1, keepdims=True)
    smooth = np.exp(-((np.subtract.outer(*2 * [np.arange(len(thin))]) / facts["smoothness"] / factor) ** 2) / 2)
    known = profile @ smooth @ profile.T
    damped = known + facts["damping"] * np.diag(known).mean() * np.eye(len(known))
    missing, bright = thick[used] - np.tensordot(profile, thin, 1), thick[used] + 1
    energy = np.square(bright).sum((1, 2), keepdims=True).clip(np.finfo(np.float32).tiny)
    missing -= (missing * bright).sum((1, 2), keepdims=True) / energy * bright
    change = np.tensordot(np.linalg.solve(damped, profile @ smooth).T, missing, 1)
    return np.where(thin > -1, (thin + change).clip(-1, 1), thin)


def in_context(network, group, given, facts):
    """Return the slice (H, W) at a position in a slice group (S, H, W), as bright as a look at the whole tells."""
    fine, window, context = run(network, group, given, facts["windows"]), facts["windows"]["size"], facts["context"]
    if given["source"] == given["target"] or max(fine.shape) <= context["wide"] * window:
        return fine
    zoom = max(window / max(fine.shape), context["smallest"])
    reduce, enlarge, blur = zip(
        *(matrices(n, round(zoom * n), context["blur"] * window) for n in fine.shape), strict=True
    )
    small = (reduce[0] @ group @ reduce[1].T).astype(np.float32)
    coarse = enlarge[0] @ run(network, small, given, facts["windows"]) @ enlarge[1].T
    middle = len(group) // 2
    inside = (group[middle - 1 : middle + 1] > -1).any(0)
    weight = (blur[0] @ inside @ blur[1]).clip(np.finfo(np.float32).tiny)
    return fine + inside * (blur[0] @ (inside * (coarse - fine)) @ blur[1]) / weight


def matrices(size, few, sigma):
    """Return the matrices that average `size` pixels to `few`, interpolate them back, and blur `size` pixels."""
    step, pixel, start = size / few, np.arange(size), size / few * np.arange(few)[:, None]
    reduce = (np.minimum(start + step, pixel + 1) - np.maximum(start, pixel)).clip(0) / step
    center = ((pixel[:, None] + 0.5) / step - 0.5).clip(0, few - 1)
    enlarge = (1 - abs(center - np.arange(few))).clip(0)
    return reduce, enlarge, np.exp(-((pixel - pixel[:, None]) ** 2) / (2 * sigma**2))


def run(network, group, given, windows):
    """Return the slice (H, W) at a position in a slice group (S, H, W), blended from overlapping windows."""
    size, (height, width) = windows["size"], group.shape[1:]
    missing = [max(size - length, 0) for length in (height, width)]
    group = np.pad(group, [(0, 0), *((n // 2, n - n // 2) for n in missing)], constant_values=-1)
    bell = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * (windows["sigma"] * size) ** 2))
    weight, step = np.outer(bell, bell).clip(windows["floor"]), int(size * (1 - windows["overlap"]))
    starts = [[min(n, length - size) for n in range(0, length - size + step, step)] for length in group.shape[1:]]
    total, weights = np.zeros((2, *group.shape[1:]))
    for y, x in itertools.product(*starts):
        here = np.s_[y : y + size, x : x + size]
        window = group[None, :, *here]
        made = network.run(["slice"], {"image": window, **given})[0][0, 0] if (window > -1).any() else -1
        total[here] += weight * made
        weights[here] += weight
    top, left = (n // 2 for n in missing)
    return (total / weights)[top : top + height, left : left + width]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("network", "scan", "output", "source", "target"):
        parser.add_argument(name)
    parser.add_argument("--factor", type=float, default=1.0)
    chosen = parser.parse_args()
    session, image = onnxruntime.InferenceSession(chosen.network), nib.load(chosen.scan)
    nib.save(synthesize(session, image, chosen.source, chosen.target, chosen.factor), chosen.output)
