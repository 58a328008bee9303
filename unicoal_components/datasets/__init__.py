"""Subject files, datalists, and the data sets and samplers of training and evaluation."""
