"""Files and folders that are written whole or not at all, and arrays in nameless files."""
