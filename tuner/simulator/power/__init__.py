"""Board power, modelled from what the kernels of a step do."""
