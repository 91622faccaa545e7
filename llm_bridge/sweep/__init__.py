"""One model at every temperature of either sign: what it says, and what it writes."""
