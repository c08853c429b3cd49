"""A peer of scripts/peers: Python with numba, compiled for this processor, in parallel.

    python benches/peers/peer.py WIDTH HEIGHT XA XB YA YB LIMIT [CX CY]

The counts, as 32-bit integers, go to standard output, the seconds without compiling to standard error.
"""
import sys
import time

import numba
import numpy


@numba.njit(parallel=True)
def picture(width, height, xa, xb, ya, yb, limit, julia, c):
    counts = numpy.empty((height, width), numpy.uint32)
    for row in numba.prange(height):
        for column in range(width):
            point = complex(column * (xb - xa) / (width - 1) + xa, row * (yb - ya) / (height - 1) + ya)
            z, d = (point, c) if julia else (0j, point)
            n = 0
            while n < limit and z.real * z.real + z.imag * z.imag <= 4.0:
                z = z * z + d
                n += 1
            counts[row, column] = n
    return counts


width, height, *bounds = sys.argv[1:7]
limit, c = int(sys.argv[7]), complex(*map(float, sys.argv[8:10]))
arguments = (*map(float, bounds), limit, len(sys.argv) > 8, c)
picture(2, 2, *arguments)
begun = time.perf_counter()
counts = picture(int(width), int(height), *arguments)
print(time.perf_counter() - begun, file=sys.stderr)
sys.stdout.buffer.write(counts.tobytes())
