/* A peer of scripts/peers: C with OpenMP, and four of the widest vectors side by side, which gcc keeps in registers. As far
 * as one gets in a page: the pixels of a batch wait for the slowest of them.
 *
 *     gcc -O3 -march=native -ffp-contract=off -fopenmp benches/peers/side-by-side.c -o side-by-side
 *     side-by-side WIDTH HEIGHT XA XB YA YB LIMIT [CX CY]        the counts, as 32-bit integers, go to standard output */
#include "peer.h"

#ifdef __AVX512F__
#define LANES 8
#else
#define LANES 4
#endif
#define VECTORS 4
#define BATCH (LANES * VECTORS)
typedef double numbers __attribute__((vector_size(8 * LANES)));
typedef int64_t integers __attribute__((vector_size(8 * LANES)));

static inline int any(integers inside) {
    int64_t all = 0;
    for (int i = 0; i < LANES; i++) all |= inside[i];
    return all != 0;
}

/* Points (px, py); the orbits of a Mandelbrot set begin at 0, those of a Julia set at the points. */
static void batch(const struct view *v, const double *px, double py, uint32_t *counts, int here) {
    numbers x[VECTORS], y[VECTORS], cx[VECTORS], cy[VECTORS], zero = {0};
    integers count[VECTORS], inside[VECTORS];
    for (int k = 0; k < VECTORS; k++) {
        numbers re, im = zero + py;
        for (int i = 0; i < LANES; i++) re[i] = px[k * LANES + i];
        x[k] = v->julia ? re : zero;
        y[k] = v->julia ? im : zero;
        cx[k] = v->julia ? zero + v->cx : re;
        cy[k] = v->julia ? zero + v->cy : im;
        count[k] = (integers){0};
        inside[k] = count[k] == 0;
    }
    for (uint32_t n = 0; n < v->limit; n++) {
        integers still = {0};
#pragma GCC unroll 4
        for (int k = 0; k < VECTORS; k++) {
            numbers xx = x[k] * x[k], yy = y[k] * y[k];
            inside[k] &= xx + yy <= 4.0;
            still |= inside[k];
            count[k] -= inside[k];
            y[k] = (x[k] + x[k]) * y[k] + cy[k];
            x[k] = xx - yy + cx[k];
        }
        if (!any(still)) break;
    }
    for (int i = 0; i < here; i++) counts[i] = (uint32_t)count[i / LANES][i % LANES];
}

void picture(const struct view *v, uint32_t *counts) {
#pragma omp parallel for schedule(dynamic)
    for (int row = 0; row < v->height; row++)
        for (int column = 0; column < v->width; column += BATCH) {
            double px[BATCH];
            for (int i = 0; i < BATCH; i++) px[i] = real_part(v, column + i);
            int here = v->width - column < BATCH ? v->width - column : BATCH;
            batch(v, px, imaginary_part(v, row), counts + (size_t)row * v->width + column, here);
        }
}
