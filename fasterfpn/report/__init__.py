"""Figures of a run: loss curves, pictures with detections."""
