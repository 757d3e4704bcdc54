# Compiler and linker flags of each kind of build. The target processor stays generic (x86-64): one
# binary runs everywhere, and the hot loops that gain from more choose at run time.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_definitions(_GNU_SOURCE FST_VERSION_TEXT="${PROJECT_VERSION}")
add_compile_options(
    -g -fno-omit-frame-pointer -fvisibility=hidden -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
# gcc 12 loses track of structs that name each other when it merges types of several files: it took
# list->first and window->queued.first (client/window.c) for two objects, and moved the load of one
# out of the loop that stores the other. So nothing is concluded from types.
add_compile_options(-fno-strict-aliasing)
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)

set(FST_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
    -Wwrite-strings -Wundef -Wformat=2 -Wimplicit-fallthrough)
if(FST_WERROR)
    list(APPEND FST_WARNINGS -Werror)
endif()

# Not with the many test programs, each of which would be optimised whole; not with clang, whose
# archives would need a linker of its own.
if(FST_KIND STREQUAL release AND CMAKE_C_COMPILER_ID STREQUAL GNU AND NOT FST_TESTS)
    set(FST_LTO ON)
endif()

set(FST_SANITIZED OFF)
if(FST_KIND STREQUAL release)
    add_compile_options(-O3 -fstack-protector-strong -D_FORTIFY_SOURCE=2)
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        # At -O3 gcc 12 warns of paths that cannot be taken; both count in the other kinds.
        add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow)
    endif()
    if(FST_LTO)
        add_compile_options(-flto=auto -fno-fat-lto-objects)
        add_link_options(-flto=auto -O3)
        set(CMAKE_AR ${CMAKE_C_COMPILER_AR})
        set(CMAKE_RANLIB ${CMAKE_C_COMPILER_RANLIB})
    endif()
elseif(FST_KIND STREQUAL debug)
    add_compile_options(-O1)
elseif(FST_KIND STREQUAL asan)
    set(FST_SANITIZED ON)
    add_compile_options(-O1 -fsanitize=address,undefined -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
elseif(FST_KIND STREQUAL tsan)
    set(FST_SANITIZED ON)
    add_compile_options(-O1 -fsanitize=thread)
    add_link_options(-fsanitize=thread)
elseif(FST_KIND STREQUAL fuzz)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL Clang)
        message(FATAL_ERROR "kind fuzz needs clang, found ${CMAKE_C_COMPILER_ID}")
    endif()
    set(FST_SANITIZED ON)
    add_compile_options(-O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
else()
    message(FATAL_ERROR "FST_KIND: expected release, debug, asan, tsan or fuzz, found ${FST_KIND}")
endif()
