"""One scripted day on loopback: real calendars, a real mail server, and a clock that is set by hand."""
