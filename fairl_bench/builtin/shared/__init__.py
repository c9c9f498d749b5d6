"""What built-in parts of several kinds build on.  What the parts of one kind share lies beside them in their folder."""
