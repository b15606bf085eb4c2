"""Experiments that could prove a promise false."""
