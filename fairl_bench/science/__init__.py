"""The formulas: arrays in, arrays and floats out; nothing here knows a suite, a file or a part."""
