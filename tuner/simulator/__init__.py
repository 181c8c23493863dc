"""Figures without a GPU: kernel times that NVIDIA measured, and what follows from them."""
