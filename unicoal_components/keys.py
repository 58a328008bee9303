"""Names of the entries of a batch, and the intensity of blank voxels."""

BLANK = -1.0
"""Background, padding, and every slice outside the volume, on the networks' scale of [-1, 1]."""


class Keys:
    """Batch keys; the first four are those of MONAI's `CommonKeys`, so that stock handlers and engines find them."""

    IMAGE = "image"
    LABEL = "label"
    PRED = "pred"
    LOSS = "loss"
    MODALITY = "modality"
    SOURCE_MODALITY = "source_modality"
    POSITION = "position"
    FACTOR = "factor"
    THICKNESS = "thickness"
    PLANES = "planes"
    DRAW = "draw"
    INDICES = "indices"
    SUBJECT = "subject"
    SLICE = "slice_index"
