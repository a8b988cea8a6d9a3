"""Quality of synthetic text: what the paper's Table 2 asks, and what its readers asked for (docs/quality.md).

Every measure takes documents and gives one number for each, or for the set, with an `Estimate`; `evaluator` puts them
to the synthetic corpora of a run, and to held-out real documents beside them.
"""
