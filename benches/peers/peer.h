/* What the peers in C have in common: the arguments, the grid of the original, the clock, and the counts on standard
 * output. The seconds of each round go to standard error. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct view {
    int width, height, julia;
    double xa, xb, ya, yb, cx, cy;
    uint32_t limit;
};

static inline double real_part(const struct view *v, int column) {
    return column * (v->xb - v->xa) / (v->width - 1) + v->xa;
}

static inline double imaginary_part(const struct view *v, int row) {
    return row * (v->yb - v->ya) / (v->height - 1) + v->ya;
}

void picture(const struct view *v, uint32_t *counts);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 8) return 2;
    struct view v = {atoi(argv[1]), atoi(argv[2]), argc > 9,       atof(argv[3]),
                     atof(argv[4]), atof(argv[5]), atof(argv[6]), argc > 9 ? atof(argv[8]) : 0,
                     argc > 9 ? atof(argv[9]) : 0, (uint32_t)atoi(argv[7])};
    uint32_t *counts = calloc((size_t)v.width * v.height, sizeof *counts);
    double begun = now();
    picture(&v, counts);
    fprintf(stderr, "%.6f\n", now() - begun);
    return fwrite(counts, sizeof *counts, (size_t)v.width * v.height, stdout) == 0;
}
