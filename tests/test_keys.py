from monai.utils import CommonKeys

from unicoal_components.keys import Keys


def test_the_common_keys_are_monais():
    for name in ("IMAGE", "LABEL", "PRED", "LOSS"):
        assert getattr(Keys, name) == CommonKeys[name].value
