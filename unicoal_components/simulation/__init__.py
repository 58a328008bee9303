"""Simulated subjects: tissue maps, MR signal, lesions and scanner effects."""
