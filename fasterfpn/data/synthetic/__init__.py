"""Synthetic photographs of aluminium profiles with the ten kinds of defect."""
