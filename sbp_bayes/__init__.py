"""Synthetic bootstrapped pretraining (arXiv 2509.15248), from documents to pairs, a synthesizer and models."""

__version__ = "0.1.0.dev0"
