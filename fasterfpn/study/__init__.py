"""The figures of a run, and the paper's experiment: what stands above training and reports."""
