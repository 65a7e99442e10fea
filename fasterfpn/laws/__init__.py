"""The laws of the detector's parts, each a property that hypothesis tries to break.

The laws of a part take the implementation as an argument. So they hold the shipped code in the test suite, and what a
learner writes in `fasterfpn exercise`. Needs the extra `learn` (hypothesis).

tasks    the list of exercises: names, chapters, what each asks for; needs nothing but the standard library
law      a law, and how an implementation is checked against it
inputs   strategies and conversions that the laws share
plain    values in plain words
guard    keeps a learner's file from calling what it is asked to write
judge    the process that runs a learner's file
process  starts that process and listens to it
starts/  what `exercise start` writes
"""
