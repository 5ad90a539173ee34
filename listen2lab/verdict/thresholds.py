"""Every threshold of the verdicts, with the sentence that says why it stands where it stands."""

from __future__ import annotations

__all__ = [
    "FEWEST_STEPS", "LEAK_ODDS", "MOST_MISSING", "MOST_SAMPLES", "MOST_SPIKES", "SPIKE",
]  # fmt: skip

FEWEST_STEPS = 15
"""Fewer steps cannot tell a rise that goes on from one that ends: every shape fits them."""

FEWEST_IN_REPEAT = 8
"""A repeat with fewer samples says nothing about a slope beside a level and a shape."""

FIRM_STEPS, FIRM_REPEATS = 50, 5
"""From here on a verdict is called firm: in the benchmark, recall falls below .9 under it."""

MOST_SAMPLES = 600
"""Longer runs are averaged in blocks: a slope's precision depends on the run's length, hardly on
how finely it is cut, and cost grows with the square."""

MOST_MISSING = 0.3
"""With more than this share of samples missing, what was not seen could have decided."""

MOST_BYTES = 2.0**63
"""No process holds so much: such a value, like an infinite one, counts as missing."""

SPIKE, MOST_SPIKES = 6.0, 0.05
"""A sample this many typical moves beyond both neighbours is a stray; if more than this share
are, they are the series' nature."""

LEAK_ODDS = 12.0
"""Odds of growth without end, against every history that stops, from which a leak is called. Set
on tuning seeds (40 sets a rate): 95 of 100 leaks are found at 1.73 times the limit; at odds of 8
it is 1.69 times, at 16 1.94 times. The same two of 640 non-leaks were called leaks at all three."""

SLOW_ODDS = 6.0
"""Odds of a slow saturation against a leak from which a leak is no longer called."""

SLOWED_ODDS = 20.0
"""The same of a slow saturation that a warm-up, or any other shape, came before. Of 143 tuning
series that are bounded so (pools of buffers, rare keys, two fillings) and passed for leaks, 60
still do; of 967 leaks 7 are lost. As many odds against it overrule `SLOW_ODDS`."""

ONE_SIDED = 0.01
"""Largest probability of no growth at all that a leak may leave."""

GREY_ODDS, GREY_TAIL = 1.5, 0.05
"""Odds of growth, and the largest probability of none, from which nothing that stops is called
either."""

WORTH_RATE = 256.0
"""Bytes a step below which growth is not called a leak: a harness's own records cost as much
(150 B a step were measured in a clean run of a microsecond workload)."""

WORTH_GROWTH = 1024.0 * 1024.0
"""Over a long run a smaller rate matters too: what adds up to this much in the run does."""

CLEAR_RISE = 4.0
"""A rise of so many noise standard deviations names the shape; less is a baseline."""

TOOTH = 4.5
"""A fall of so many standard deviations of a move is a tooth's end."""

JUMP = 4.0
"""A move of so many standard deviations is tried as a step."""

MOST_JUMPS = 6
"""More free steps than this could imitate any growth."""

LONE_REPEAT = 10.0
"""With one repeat, how far processes differ is unknown: so many times the odds are asked for."""

SMALL_RUN = 3.0
"""Below a firm run's size, so many times the odds are asked for: shapes hide more easily."""

SLOWING = 0.8
"""Growth late in the run below this share of growth in its middle is slowing down."""

LINE = (8.0, 0.7, 2.33, 0.3, 0.43, 0.05)
"""A rise of eight times the noise, no part of which is slower than seven tenths of it by more than
2.33 standard errors (nor the last third than three tenths), is a line to any reader, if it strays
by no more than its noise or 5 % of itself. Noise is at most 1/.43 of what its moves say: of 600
rises of 15 times the noise (autocorrelated up to .8, 20 to 500 samples) 96 in 100 are lines, of
1,440 that end, 2 (71 and 72 million, tuned on)."""

WARM_UP_ODDS, PACES, SAME_PACE = 3e6, (0.48, 0.72, 0.96), 0.9
"""Slowing that is so many times better explained by a warm-up which has ended, while the measured
pace from 72 to 96 % of the run is at least nine tenths of that from 48 to 72 %, is no reason
against a leak: of leaks after a warm-up 93 in 100 are found instead of 84, and of what saturates
after the run no more are called leaks, but 2 in 100 of those that grow as a power of time."""

SLOW_SHAPE_ODDS = 3.0
"""Odds of a slow saturation, against every shape that stops, from which it is not settled."""

NOISE_SHARE, NOISE_SIGMAS = 0.1, 4.0
"""A leak hidden in the noise may add up, over the run, to a tenth of the level or four standard
deviations of the noise; if more could hide, nothing is called flat."""

SORTED = 0.7
"""Rank correlation of input size and step above which the inputs count as sorted; a shuffled run
of 50 steps reaches 0.33 once in a hundred times."""

TEETH_ODDS = 4.0
"""Only the feet of a sawtooth are judged, a few samples for each tooth: so many times the odds
are asked for. (At 3 none of 900 sawteeth without a leak is called one; it was 10 before repeats
with teeth were told from copies.)"""

FEWEST_TO_DISAGREE = 4
"""With fewer repeats nobody can say which of them is the odd one."""

ODD_ONE = 6.0
"""A repeat whose rate is this many standard errors from all others, while they agree, is odd."""

WORTH_SHARE, WORTH_LEVEL = 0.05, 2.0 * 1024 * 1024
"""A change of level smaller than both is not worth acting on: below 2 MiB five fresh processes
of one condition differ by themselves."""

REMOVED_SHARE = 0.2
"""A leak is removed when what may be left, at 95 %, is under a fifth of it."""

SAME_SHARE = 0.25
"""Rates whose difference is surely under a quarter of the leak are unchanged."""

MISFIT = 0.1
"""Growth under this share of all other movement after the warm-up may be misfit of the shapes."""

NEAR_RECORD = 0.9
"""An input of this share of the largest so far counts as the same shape again."""

NAME_MARGIN = 3.0
"""How much better, in log likelihood, the inputs must explain a level than time does."""

LATE_SHARE = 0.5
"""A leak whose growth late in the run, measured without any model, is surely under half of what
its rate says, has slowed down."""

LATE_PART, NEARLY_ALL = 0.25, 0.75
"""A repeat still grows if its last third brings a quarter of its share; so must three of four."""

STEPS_LEFT, STEPS_LEFT_BLIND = 0.3, 0.6
"""Where steps explain a rise, growth under this share of it may be steps too small to be found;
more so where the input sizes, which would explain them, are not known."""

PARTS, PART_SHARE = 5, 0.6
"""Where the typical one of five parts of the second half grows by six tenths of its share or more,
what grows is no rest of steps."""

PRESSURE_SHARE = 0.05
"""A run during which something on the machine waited for memory for more than this share of the
time was short of it; on machines with free memory 0.0001 was measured, busy or not."""

CACHE_SHARE = 0.5
"""A bounded cache that is not yet full and brings this share of a growth, or more, explains it."""

LATE_RISE, LATE_RISE_SHARE = 0.15, 0.5
"""A rise of which half comes in the last 15 % of the run leaves too little of it to show that it
has ended."""

LUMPS, LUMPS_AMONG, LUMPS_SHARE = 3, 0.34, 0.7
"""At least three moves that are few among all, and bring most of the growth, are lumps."""
