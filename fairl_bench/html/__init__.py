"""The page of a results folder: one HTML file that opens offline and asks nobody for anything."""
