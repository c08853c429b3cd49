"""The definition of a picture, src/fractal/escape.rs, in plain Python: anybody can check what oat has drawn.

    python3 examples/escape.py WIDTH HEIGHT XA XB YA YB ITERATIONS CX CY    prints the SHA-256 of the raw RGB rows
"""
import hashlib
import sys


def escape(z, c, limit):
    for step in range(limit):
        if abs(z) > 2.0:
            return step
        z = z * z + c
    return limit - 1


def picture(width, height, xa, xb, ya, yb, limit, c):
    for row in range(height):
        for column in range(width):
            x = column * (xb - xa) / (width - 1) + xa
            y = row * (yb - ya) / (height - 1) + ya
            i = escape(complex(x, y), c, limit)
            yield from (i % 8 * 32, i % 16 * 16, i % 32 * 8)


width, height = map(int, sys.argv[1:3])
xa, xb, ya, yb = map(float, sys.argv[3:7])
rgb = bytes(picture(width, height, xa, xb, ya, yb, int(sys.argv[7]), complex(*map(float, sys.argv[8:10]))))
print(hashlib.sha256(rgb).hexdigest())
