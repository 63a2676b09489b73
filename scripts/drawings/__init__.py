"""Drawings of garments and of people, made up from proportions in centimetres."""
