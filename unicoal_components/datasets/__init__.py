"""Subject files, datalists, and the datasets and samplers of training and evaluation."""
