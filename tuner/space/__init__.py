"""Which configurations exist and are legal, by model, GPU and engine; light: no simulator is imported here."""
