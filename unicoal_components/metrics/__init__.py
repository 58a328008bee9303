"""Image quality from two arrays, one metric or protocol a file."""
