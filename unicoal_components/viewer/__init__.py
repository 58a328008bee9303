"""A page that shows an input, a result and its error map in linked slices."""
