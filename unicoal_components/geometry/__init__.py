"""Voxel grids in the world: orientation, resampling, pixel size, crop and the head's mask."""
