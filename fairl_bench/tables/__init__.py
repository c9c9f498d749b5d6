"""Tables, made from what a results folder says, and the texts they are printed and saved as; without torch."""
