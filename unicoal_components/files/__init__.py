"""Files and folders that are written whole, by one process at a time, and arrays in nameless files."""
