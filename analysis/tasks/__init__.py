"""Multiple-choice tasks made of dictionaries for lm-evaluation-harness, and the evaluation of models on tasks."""
