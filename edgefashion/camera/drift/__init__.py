"""Whether the camera's answers are today as they should be: counts by hour and day, and two tests of them."""
