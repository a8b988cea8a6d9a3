"""The sixteen predictions of the Bayesian reading, each measured on any synthesizer, with what would refute it."""
