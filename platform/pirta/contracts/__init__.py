"""What the services say to each other: pydantic models and enums, nothing heavier."""
