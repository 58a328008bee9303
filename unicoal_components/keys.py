"""Names of the entries of a batch, and the intensity of what is not there."""

from monai.utils import CommonKeys

BLANK = -1.0
"""Background, padding, and every slice outside the volume, on the networks' scale of [-1, 1]."""


class Keys:
    """Batch keys; the first four are MONAI's own, so that stock handlers and engines find them."""

    IMAGE = CommonKeys.IMAGE.value
    LABEL = CommonKeys.LABEL.value
    PRED = CommonKeys.PRED.value
    LOSS = CommonKeys.LOSS.value
    MODALITY = "modality"
    SOURCE_MODALITY = "source_modality"
    POSITION = "position"
    FACTOR = "factor"
    THICKNESS = "thickness"
    DRAW = "draw"
    INDICES = "indices"
    SUBJECT = "subject"
    SLICE = "slice_index"
