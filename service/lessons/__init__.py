"""What measuring jobs teach later ones."""
