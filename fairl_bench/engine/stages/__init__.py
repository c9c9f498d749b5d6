"""The kinds of stage: one class each, with how its answer is made, kept and loaded."""
