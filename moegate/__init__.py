"""moegate: statistical estimation of mixtures of experts."""
__version__ = "0.1.0"
