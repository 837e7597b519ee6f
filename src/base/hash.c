/* The keyed hash of byte strings. Built on folded 64 x 64 -> 128 bit products of the input with two secret words, so that a peer who
 * does not know them cannot choose keys that collide. Not for anything that is stored or sent: the secret differs by process. */
#include "base/slice.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t secret[3];

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t load32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

void weir_hash_seed_set(uint64_t seed)
{
    /* Odd constants with about as many ones as zeros; the fold spreads one seed over all words. */
    uint64_t a = fold(seed ^ 0x9e3779b97f4a7c15ULL, 0xd6e8feb86659fd93ULL);
    uint64_t b = fold(seed ^ 0xc2b2ae3d27d4eb4fULL, 0xa0761d6478bd642fULL);
    secret[0] = a | 1;
    secret[1] = b | 1;
    secret[2] = fold(a, b) | 1;
}

__attribute__((constructor)) static void seed_from_system(void)
{
    uint64_t words[3];
    if (getrandom(words, sizeof(words), GRND_NONBLOCK) == (ssize_t)sizeof(words)) {
        secret[0] = words[0] | 1;
        secret[1] = words[1] | 1;
        secret[2] = words[2] | 1;
        return;
    }
    /* Before the kernel's pool is ready (very early at boot): better than a constant. */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    weir_hash_seed_set((uint64_t)now.tv_nsec ^ ((uint64_t)getpid() << 32));
}

uint64_t weir_slice_hash(struct weir_slice s)
{
    const char *p = s.ptr;
    size_t left = s.len;
    uint64_t h = secret[0] ^ s.len;
    uint64_t a = 0, b = 0;
    for (; left > 16; left -= 16, p += 16) {
        h = fold(load64(p) ^ secret[1], load64(p + 8) ^ h);
    }
    if (left >= 8) {
        a = load64(p);
        b = load64(p + left - 8);
    } else if (left >= 4) {
        a = load32(p);
        b = load32(p + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[left / 2] << 8 |
            (uint64_t)(unsigned char)p[left - 1];
    }
    return fold(secret[2] ^ s.len, fold(a ^ secret[1], b ^ h));
}
