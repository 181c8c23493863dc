"""How `paretune bench fidelity` shows what it found."""
