"""Image files of people: read, written, named and checked."""
