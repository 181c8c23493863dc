"""The command line: `paretune …`, one module per command."""
