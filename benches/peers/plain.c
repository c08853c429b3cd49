/* A peer of scripts/peers: the loop as everybody writes it, in C, with OpenMP.
 *
 *     gcc -O3 -march=native -ffp-contract=off -fopenmp benches/peers/plain.c -o plain
 *     plain WIDTH HEIGHT XA XB YA YB LIMIT [CX CY]        the counts, as 32-bit integers, go to standard output
 *
 * Without -ffp-contract=off gcc fuses multiplications with additions, and the pixels are others. */
#include "peer.h"

static uint32_t escape(double x, double y, double cx, double cy, uint32_t limit) {
    for (uint32_t n = 0; n < limit; n++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4.0) return n;
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
    }
    return limit;
}

void picture(const struct view *v, uint32_t *counts) {
#pragma omp parallel for schedule(dynamic)
    for (int row = 0; row < v->height; row++)
        for (int column = 0; column < v->width; column++) {
            double px = real_part(v, column), py = imaginary_part(v, row);
            counts[(size_t)row * v->width + column] =
                v->julia ? escape(px, py, v->cx, v->cy, v->limit) : escape(0.0, 0.0, px, py, v->limit);
        }
}
