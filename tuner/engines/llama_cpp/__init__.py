"""llama.cpp: its own server out of the `xllamacpp` wheel, on GGUF models."""
