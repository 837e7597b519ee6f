/* Marks memory as not to be touched, for AddressSanitizer builds; nothing elsewhere.
 * Under AddressSanitizer pools do not recycle either (WEIR_RECYCLE is 0): a freed object goes to the heap's quarantine, so
 * that a late use is reported with the stacks of its allocation and its end. */
#ifndef WEIR_BASE_POISON_H
#define WEIR_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#define WEIR_POISON(ptr, len) __asan_poison_memory_region((ptr), (len))
#define WEIR_UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
#define WEIR_RECYCLE 0
#else
#define WEIR_POISON(ptr, len) ((void)(ptr), (void)(len))
#define WEIR_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#define WEIR_RECYCLE 1
#endif

#endif
