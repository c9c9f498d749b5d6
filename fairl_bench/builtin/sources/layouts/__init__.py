"""The layouts of published preference data: what each one's columns are called, and how its rows become pairs."""
