# Compiler flags. Everything of ours links `weir_flags` (privately); third-party code links `weir_build_flags` alone:
# the same sanitizers and hardening, none of our warnings.

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE}")
endif()

add_library(weir_build_flags INTERFACE)
add_library(weir_flags INTERFACE)
target_link_libraries(weir_flags INTERFACE weir_build_flags)

target_compile_options(weir_build_flags INTERFACE -fno-strict-aliasing -fno-omit-frame-pointer)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
if(WEIR_WASM)
    target_compile_definitions(weir_flags INTERFACE WEIR_WASM=1)
endif()
target_include_directories(weir_flags INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_options(weir_flags INTERFACE
    -include "${PROJECT_SOURCE_DIR}/src/base/banned.h"
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)

target_compile_options(weir_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Walloca
    -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wimplicit-fallthrough
    -Wframe-larger-than=16384
    # Fields that Envoy's schema calls deprecated are read all the same; the reader warns whoever writes them.
    -Wno-deprecated-declarations
    # A test may crash on what it did not expect.
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:WEIR_IS_TEST>>>:-Wnull-dereference>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(weir_flags INTERFACE
        -Wswitch-enum -Wcast-qual -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init -Wcast-align=strict -Wbidi-chars=any)
else()
    # Not -Wswitch-enum nor -Wcast-qual: clang counts the enumerators _..._IS_INT_SIZE, with which protobuf-c pads each enum,
    # and the casts in its initialisers.
    target_compile_options(weir_flags INTERFACE -Wmissing-variable-declarations -Wthread-safety)
endif()
if(WEIR_WERROR)
    target_compile_options(weir_flags INTERFACE -Werror)
endif()

# The hot path crosses many small files: measured, a request costs 15 % fewer instructions with them optimised together.
if(WEIR_LTO AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(CMAKE_AR "${CMAKE_C_COMPILER_AR}")
    set(CMAKE_RANLIB "${CMAKE_C_COMPILER_RANLIB}")
    target_compile_options(weir_build_flags INTERFACE -flto=auto -fvisibility=hidden -fno-semantic-interposition)
    target_link_options(weir_build_flags INTERFACE -flto=auto)
endif()

if(WEIR_HARDEN)
    target_compile_options(weir_build_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        target_compile_options(weir_build_flags INTERFACE -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr)
    endif()
    target_link_options(weir_build_flags INTERFACE -Wl,-z,relro,-z,now -pie)
    # The descriptors of Envoy's API hold some 60,000 pointers: a table of relocations of 1.4 MB, or of 20 KB packed.
    include(CheckLinkerFlag)
    check_linker_flag(C "-Wl,-z,pack-relative-relocs" WEIR_CAN_PACK_RELOCATIONS)
    if(WEIR_CAN_PACK_RELOCATIONS)
        target_link_options(weir_build_flags INTERFACE -Wl,-z,pack-relative-relocs)
    endif()
endif()

if(WEIR_SANITIZE)
    target_compile_options(weir_build_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(weir_build_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
    target_compile_definitions(weir_flags INTERFACE WEIR_SANITIZED=1)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND WEIR_SANITIZE MATCHES "undefined")
        target_compile_options(weir_flags INTERFACE -fsanitize=bounds-strict)
    endif()
    if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND WEIR_SANITIZE MATCHES "undefined")
        # An empty slice is {NULL, 0}: gcc's check lets NULL + 0 pass, clang's does not.
        target_compile_options(weir_build_flags INTERFACE -fno-sanitize=pointer-overflow)
    endif()
    # The instrumented frames are larger, and gcc sees null dereferences in its own checks.
    target_compile_options(weir_flags INTERFACE -Wframe-larger-than=65536 -Wno-null-dereference)
endif()
if(WEIR_FUZZ)
    target_compile_options(weir_build_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(weir_build_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WEIR_COVERAGE)
    target_compile_options(weir_flags INTERFACE --coverage)
    target_link_options(weir_flags INTERFACE --coverage)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_definitions(weir_flags INTERFACE WEIR_DEBUG=1)
endif()

target_link_options(weir_build_flags INTERFACE -Wl,--gc-sections)
find_program(LLD ld.lld)
if(LLD AND NOT CMAKE_BUILD_TYPE STREQUAL "Release") # three times as quick, for many test programs
    target_link_options(weir_build_flags INTERFACE -fuse-ld=lld)
endif()
target_compile_options(weir_build_flags INTERFACE -ffunction-sections -fdata-sections)
