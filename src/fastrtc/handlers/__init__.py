"""What users write, and the drivers that run it without ever blocking the media clock."""
