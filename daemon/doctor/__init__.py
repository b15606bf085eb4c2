"""``rebookd doctor``: what is wrong on this machine, and what cures it. One file for each theme."""
