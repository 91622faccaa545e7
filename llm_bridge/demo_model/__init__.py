"""The bundled demo model: a small causal transformer trained on the Python standard library."""
