// VECTORISE before a function: the compiler makes one version of it for each vector width, and the CPU at hand chooses
// when the library is loaded. What the function calls must be inlined, to be compiled along with it: ALWAYS_INLINE
// before whatever is so large that the compiler might not (it would then run as plain SSE2, at half the speed,
// unnoticed).
#pragma once

#include <cstdlib>  // defines __GLIBC__, which can choose (by ifunc)

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define VECTORISE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORISE
#endif

#ifdef __GNUC__
#define ALWAYS_INLINE __attribute__((always_inline)) inline
#else
#define ALWAYS_INLINE inline
#endif
