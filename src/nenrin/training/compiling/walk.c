/* Answers of a compiled model for a block of rows: what stands before its trees, the trees, the link.

   For one row eight trees are walked in step, one level at a time, without a branch: a leaf leads to itself, so
   who has arrived waits there. Eight rows side by side are sifted, where no tree has more leaves than a word has
   bits: each test of a tree is made of all of them; one that fails strikes out the leaves on its left, and the
   first leaf that is left is the row's (QuickScorer, Lucchese et al. 2015). Leaves are added up in the order of
   the trees, as the libraries do, so that sums are equal to the last bit. `model` and what it points to are
   declared in compiled.py and forest.py too. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define ROWS 8
#define LEAST 3 /* rows that are sifted: fewer are walked sooner */

/* Vectors as long as registers: compilers take longer ones apart by way of memory. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define WIDTH 4
#define BY_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define WIDTH 2
#define BY_MACHINE
#endif
typedef double reals __attribute__((vector_size(8 * WIDTH)));
typedef int64_t masks __attribute__((vector_size(8 * WIDTH)));

enum { NAN_LEFT = 1 << 30, CATEGORICAL = 1 << 29, OUTSIDE_LEFT = 1 << 28, ZERO_MISSING = 1 << 27 };
#define FEATURE 0xffffff
#define ZERO ((double)1e-35f)

enum { IDENTITY, SIGMOID, EXP, SOFTMAX };
enum { NUMBER, PLACES }; /* kinds of a step */
enum { REFUSES_NAN = 1, REFUSES_INFINITE = 2 };

typedef struct {
    double threshold; /* of a categorical split: where its set begins in words */
    int32_t kid;      /* the left one; the right one comes next */
    int32_t split;    /* feature and flags */
} node;

typedef struct {
    double threshold;
    int64_t left; /* the leaves on its left, one bit each */
    int64_t view; /* twice the feature, and 1 where NaN goes left */
} test;

typedef struct {
    double fill, minus, over; /* of a number: in place of NaN; (x - minus) / over */
    int64_t at;               /* of places: where its rows of `width` values begin */
    int32_t kind, from, to, width, places, reserved;
} step;

typedef struct {
    const node *nodes;
    const double *values; /* of leaves, by node */
    const uint32_t *words;
    const int32_t *roots, *order, *depths, *groups; /* the first two by lane, depths by LANES of them */
    const test *tests;    /* tree by tree */
    const int32_t *ends;  /* of the tests of each tree */
    const double *leaves; /* of each tree, from the left: one more than tests; none where it is not sifted */
    const step *steps;
    const double *table, *base;
    const uint8_t *refused;
    int64_t columns, features, trees, lanes, steps_count, groups_count;
    double divisor, slope;
    int32_t link, answer, single_sums, single_features, plain, refusing;
} model;

static int refuses(const model *m, const double *row) {
    for (int64_t j = 0; j < m->columns; j++) {
        double x = m->single_features ? (double)(float)row[j] : row[j];
        if ((m->refused[j] & REFUSES_NAN && x != x) || (m->refused[j] & REFUSES_INFINITE && isinf(x)))
            return 1;
    }
    return 0;
}

static void prepare(const model *m, const double *row, double *out) {
    if (!m->steps_count)
        memcpy(out, row, m->columns * sizeof(double));
    for (int64_t i = 0; i < m->steps_count; i++) {
        const step *s = m->steps + i;
        double x = row[s->from];
        if (s->kind == NUMBER) {
            out[s->to] = ((x != x ? s->fill : x) - s->minus) / s->over;
        } else {
            int64_t place = x >= 0 && x < s->places ? (int64_t)x : s->places;
            memcpy(out + s->to, m->table + s->at + place * s->width, s->width * sizeof(double));
        }
    }
    if (m->single_features)
        for (int64_t j = 0; j < m->features; j++)
            out[j] = (double)(float)out[j];
}

static int in_set(const uint32_t *set, double x, int outside) {
    /* set[0]: how many categories its words tell of */
    if (x <= -1 || x >= (double)set[0])
        return outside;
    int64_t place = (int64_t)x;
    if (x < 0 && outside) /* LightGBM cuts -0.7 down to 0; to XGBoost it is no category */
        return 1;
    return set[1 + place / 32] >> (place % 32) & 1;
}

static int32_t right_of(const model *m, const node *p, double x) {
    int nan_left = (p->split & NAN_LEFT) != 0;
    if (x != x)
        return !nan_left;
    if (p->split & CATEGORICAL)
        return !in_set(m->words + (int64_t)p->threshold, x, (p->split & OUTSIDE_LEFT) != 0);
    if (p->split & ZERO_MISSING && x >= -ZERO && x <= ZERO)
        return !nan_left;
    return x > p->threshold;
}

/* `whole`: no feature of the row is NaN; then nothing asks for it. */
static inline void walk(const model *m, const double *row, double *leaves, int plain, int whole) {
    const node *nodes = m->nodes;
    for (int64_t a = 0; a < m->lanes; a += LANES) {
        int32_t at[LANES];
        memcpy(at, m->roots + a, sizeof at);
        for (int32_t level = m->depths[a / LANES]; level > 0; level--)
#pragma GCC unroll 8
            for (int w = 0; w < LANES; w++) {
                const node *p = nodes + at[w];
                double x = row[p->split & FEATURE];
                if (plain && whole)
                    at[w] = p->kid + (x > p->threshold);
                else if (plain || !(p->split & (CATEGORICAL | ZERO_MISSING)))
                    at[w] = p->kid + ((x > p->threshold) | ((x != x) & (p->split >> 30 ^ 1)));
                else
                    at[w] = p->kid + right_of(m, p, x);
            }
        for (int w = 0; w < LANES; w++)
            leaves[m->order[a + w]] = m->values[at[w]];
    }
}

static void walk_whole(const model *m, const double *row, double *leaves) { walk(m, row, leaves, 1, 1); }

static void walk_plain(const model *m, const double *row, double *leaves) { walk(m, row, leaves, 1, 0); }

static void walk_any(const model *m, const double *row, double *leaves) { walk(m, row, leaves, 0, 0); }

static int is_whole(const model *m, const double *row) {
    int whole = 1;
    for (int64_t j = 0; j < m->features; j++)
        whole &= row[j] == row[j];
    return whole;
}

/* XGBoost keeps margins, links and answers in single precision: so do these. */

static double linked_single(const model *m, const double *sums) {
    float x = (float)sums[m->answer];
    if (m->link == SIGMOID)
        return 1.0f / (expf(-x < 88.7f ? -x : 88.7f) + 1.0f + 1e-16f);
    if (m->link == EXP)
        return expf(x);
    if (m->link == IDENTITY)
        return x;
    float most = (float)sums[0];
    for (int64_t c = 1; c < m->groups_count; c++)
        most = (float)sums[c] > most ? (float)sums[c] : most;
    double whole = 0;
    for (int64_t c = 0; c < m->groups_count; c++)
        whole += expf((float)sums[c] - most);
    return expf(x - most) / (float)whole;
}

static double linked(const model *m, const double *sums) {
    double x = sums[m->answer];
    if (m->link == SIGMOID)
        return 1.0 / (1.0 + exp(-m->slope * x));
    if (m->link == EXP)
        return exp(x);
    if (m->link == IDENTITY)
        return x;
    double most = sums[0], whole = 0;
    for (int64_t c = 1; c < m->groups_count; c++)
        most = sums[c] > most ? sums[c] : most;
    for (int64_t c = 0; c < m->groups_count; c++)
        whole += exp(sums[c] - most);
    return exp(x - most) / whole;
}

static double finished(const model *m, double *sums) {
    if (m->single_sums)
        return linked_single(m, sums);
    sums[m->answer] /= m->divisor;
    return linked(m, sums);
}

static double answer(const model *m, const double *leaves, double *sums) {
    memcpy(sums, m->base, m->groups_count * sizeof(double));
    for (int64_t t = 0; t < m->trees; t++) {
        double *sum = sums + m->groups[t];
        *sum = m->single_sums ? (double)((float)*sum + (float)leaves[t]) : *sum + leaves[t];
    }
    return finished(m, sums);
}

/* `views`: a feature of all rows, and again with less than every threshold in place of NaN; so are `sums`. */
BY_MACHINE
static void sift(const model *m, const double *views, double *sums) {
    const double *leaves = m->leaves;
    const test *p = m->tests;
    for (int64_t t = 0; t < m->trees; t++) {
        const test *start = p, *end = m->tests + m->ends[t];
        masks gone[ROWS / WIDTH] = {{0}};
#pragma GCC unroll 2
        for (; p < end; p++) {
            const reals *values = (const reals *)(views + p->view * ROWS);
            reals threshold = p->threshold - (reals){0};
            masks left = p->left | (masks){0};
#pragma GCC unroll 8
            for (int v = 0; v < ROWS / WIDTH; v++)
                gone[v] |= ~(masks)(values[v] <= threshold) & left;
        }
        uint64_t kept[ROWS];
        memcpy(kept, gone, sizeof kept);
        double *sum = sums + m->groups[t] * ROWS;
#pragma GCC unroll 8
        for (int w = 0; w < ROWS; w++) {
            double leaf = leaves[__builtin_ctzll(~kept[w])];
            sum[w] = m->single_sums ? (double)((float)sum[w] + (float)leaf) : sum[w] + leaf;
        }
        leaves += end - start + 1;
    }
}

static void see(const model *m, const double *row, int64_t w, double *views) {
    for (int64_t j = 0; j < m->features; j++) {
        views[2 * j * ROWS + w] = row[j];
        views[(2 * j + 1) * ROWS + w] = row[j] == row[j] ? row[j] : -INFINITY;
    }
}

typedef struct {
    double *views, *sums, *own, *features, *leaves; /* the first two of ROWS rows, the others of one */
} room;

/* Answers at most ROWS rows; 0 where the original refuses one. */
static int answer_some(const model *m, const room *at, const double *rows, int64_t n, double *out) {
    int as_they_are = !m->steps_count && !m->single_features, sifted = m->leaves && n >= LEAST;
    for (int64_t w = 0; w < n; w++, rows += m->columns) {
        if (m->refusing && refuses(m, rows))
            return 0;
        if (!as_they_are)
            prepare(m, rows, at->features);
        const double *row = as_they_are ? rows : at->features;
        if (sifted) {
            see(m, row, w, at->views);
        } else {
            (!m->plain ? walk_any : is_whole(m, row) ? walk_whole : walk_plain)(m, row, at->leaves);
            out[w] = answer(m, at->leaves, at->own);
        }
    }
    if (!sifted)
        return 1;
    for (int64_t c = 0; c < m->groups_count * ROWS; c++)
        at->sums[c] = m->base[c / ROWS];
    sift(m, at->views, at->sums);
    for (int64_t w = 0; w < n; w++) {
        for (int64_t c = 0; c < m->groups_count; c++)
            at->own[c] = at->sums[c * ROWS + w];
        out[w] = finished(m, at->own);
    }
    return 1;
}

/* 1; 0 where the original refuses a row, -1 without memory. */
int64_t nenrin_walk(const model *m, const double *rows, int64_t n, double *out) {
    int64_t views = 2 * m->features * ROWS, sums = m->groups_count * ROWS;
    int64_t size = views + sums + m->groups_count + m->features + m->lanes;
    double *memory = aligned_alloc(sizeof(reals), (size / WIDTH + 1) * sizeof(reals));
    if (!memory)
        return -1;
    memset(memory, 0, views * sizeof(double)); /* there may be fewer than ROWS rows */
    room at = {.views = memory, .sums = memory + views};
    at.own = at.sums + sums;
    at.features = at.own + m->groups_count;
    at.leaves = at.features + m->features;
    int done = 1;
    for (int64_t i = 0; i < n && done; i += ROWS)
        done = answer_some(m, &at, rows + i * m->columns, n - i < ROWS ? n - i : ROWS, out + i);
    free(memory);
    return done;
}
