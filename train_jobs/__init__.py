"""Training jobs on Ray Train: `python -m train_jobs.<job> --run <preset>`."""
