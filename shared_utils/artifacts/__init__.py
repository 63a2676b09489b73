"""Files that steps hand to each other: bounded and checked when read, whole or absent when written."""
