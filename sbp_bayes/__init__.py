"""Synthetic bootstrapped pretraining (arXiv 2509.15248): documents -> pairs -> synthesizer -> synthetic documents -> models."""

__version__ = "0.1.0.dev0"
