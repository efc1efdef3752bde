"""From an inventory of pictures to a table."""
