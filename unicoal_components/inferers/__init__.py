"""From a thick volume to a thin one, of any modality."""
