"""The worker of 2015 as it drew: CPython's complex numbers, pixel by pixel into Pillow's picture, saved and hashed.

    python benches/peers/original.py FILE WIDTH HEIGHT XA XB YA YB LIMIT CX CY

The seconds from the parameters to the file with its checksum go to standard error. One of its numbers it drew by lot, the
constant; here it is given.
"""
import hashlib
import sys
import time

from PIL import Image

file, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
xa, xb, ya, yb = map(float, sys.argv[4:8])
limit, c = int(sys.argv[8]), complex(float(sys.argv[9]), float(sys.argv[10]))

begun = time.perf_counter()
image = Image.new("RGB", (width, height))
for y in range(height):
    zy = y * (yb - ya) / (height - 1) + ya
    for x in range(width):
        z = x * (xb - xa) / (width - 1) + xa + zy * 1j
        for i in range(limit):
            if abs(z) > 2.0:
                break
            z = z * z + c
        image.putpixel((x, y), (i % 8 * 32, i % 16 * 16, i % 32 * 8))
image.save(file, "PNG")
with open(file, "rb") as png:
    hashlib.sha256(png.read()).hexdigest()
print(time.perf_counter() - begun, file=sys.stderr)
