"""A recovered reward as a thing of its own: saved, loaded, scored with, served."""
