"""Prices, cost, energy and carbon."""
