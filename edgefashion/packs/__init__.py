"""A model's revisions made, carried to other machines, proved there, put in force and taken back."""
