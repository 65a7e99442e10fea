"""Metrics and reports of trained networks, and the paper's experiment as a whole."""
