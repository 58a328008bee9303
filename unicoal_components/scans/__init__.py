"""Medical image files: reading, writing, naming and checking."""
