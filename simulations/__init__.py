"""Simulations that check convergence rates of mixtures of experts: `python -m simulations list`."""
