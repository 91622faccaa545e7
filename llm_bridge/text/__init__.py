"""Texts: their temperature under a model, and what else can be measured of them."""
