"""Ray Data jobs over cohorts: the only place in pirta that imports ray."""
