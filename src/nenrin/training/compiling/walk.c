/* Answers of a compiled model for a block of rows: what stands before its trees, the trees, the link.

   Eight trees are walked in step, one level at a time, without a branch: a leaf leads to itself, so who has
   arrived waits there. Leaves are added up in the order of the trees, as the libraries do, so that sums are
   equal to the last bit. `model` and `step` are declared in compiled.py too. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8

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
    double fill, minus, over; /* of a number: in place of NaN; (x - minus) / over */
    int64_t at;               /* of places: where its rows of `width` values begin */
    int32_t kind, from, to, width, places, reserved;
} step;

typedef struct {
    const node *nodes;
    const double *values; /* of leaves, by node */
    const uint32_t *words;
    const int32_t *roots, *order, *depths, *groups; /* the first two by lane, depths by LANES of them */
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

static double answer(const model *m, const double *leaves, double *sums) {
    memcpy(sums, m->base, m->groups_count * sizeof(double));
    if (m->single_sums) {
        for (int64_t t = 0; t < m->trees; t++) {
            double *sum = sums + m->groups[t];
            *sum = (double)((float)*sum + (float)leaves[t]);
        }
        return linked_single(m, sums);
    }
    for (int64_t t = 0; t < m->trees; t++)
        sums[m->groups[t]] += leaves[t];
    sums[m->answer] /= m->divisor;
    return linked(m, sums);
}

/* The rows that are answered before one that the original refuses: n where it refuses none, -1 without memory. */
int64_t nenrin_walk(const model *m, const double *rows, int64_t n, double *out) {
    double *memory = malloc((m->features + m->lanes + m->groups_count) * sizeof(double));
    if (!memory)
        return -1;
    double *features = memory, *leaves = memory + m->features, *sums = leaves + m->lanes;
    int as_they_are = !m->steps_count && !m->single_features;
    int64_t i = 0;
    for (; i < n; i++, rows += m->columns) {
        if (m->refusing && refuses(m, rows))
            break;
        if (!as_they_are)
            prepare(m, rows, features);
        const double *row = as_they_are ? rows : features;
        (!m->plain ? walk_any : is_whole(m, row) ? walk_whole : walk_plain)(m, row, leaves);
        out[i] = answer(m, leaves, sums);
    }
    free(memory);
    return i;
}
