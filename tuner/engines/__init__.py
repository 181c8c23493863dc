"""Inference engines: what each accepts, one package or module per engine."""
