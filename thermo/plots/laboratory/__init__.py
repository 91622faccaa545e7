"""Pictures of the laboratory: each takes what an experiment returned."""
