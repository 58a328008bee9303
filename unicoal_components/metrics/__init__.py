"""Image quality, one protocol a file."""
