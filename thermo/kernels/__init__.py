"""Compiled kernels: arrays in, arrays out. Imports numba and numpy, nothing of ours."""
